# A user who can read the history and nothing else. Run by MySQL's image when its database is still empty; by hand:
# MYSQL_PWD=root's MYSQL_DATABASE=sgnl MYSQL_REVIEW_PASSWORD=... bash storage/mysql/review_user.sh
if [ -n "${MYSQL_REVIEW_PASSWORD:-}" ]; then
    # In a string of SQL \ and ' are doubled.
    review_password=${MYSQL_REVIEW_PASSWORD//\\/\\\\}
    review_password=${review_password//\'/\'\'}
    MYSQL_PWD=${MYSQL_ROOT_PASSWORD:-${MYSQL_PWD:-}} mysql --user=root <<SQL
CREATE USER IF NOT EXISTS 'review'@'%' IDENTIFIED BY '$review_password';
GRANT SELECT, SHOW VIEW ON \`$MYSQL_DATABASE\`.* TO 'review'@'%';
SQL
fi
