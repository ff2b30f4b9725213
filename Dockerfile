FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app

COPY requirements.lock .
RUN pip install --no-cache-dir --require-hashes -r requirements.lock

COPY bot bot
COPY features features
COPY fetchers fetchers
COPY scoring scoring
COPY storage storage

# The bot needs to write its data folder and nothing else.
RUN useradd --create-home --uid 10001 sgnl && mkdir -m 700 /app/data && chown sgnl /app/data
USER sgnl
VOLUME /app/data

# Python is at hand and curl is not; 503 raises and so reads as unhealthy.
HEALTHCHECK --interval=30s --timeout=5s --start-period=90s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/health', timeout=4)"]

STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "bot"]
CMD ["run"]
