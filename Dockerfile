# The base is pinned by the digest of its index, which holds amd64 and arm64: the tag beside it is for people.
ARG PYTHON=python:3.11.15-slim-bookworm@sha256:b18992999dbe963a45a8a4da40ac2b1975be1a776d939d098c647482bcad5cba

# The packages, as wheels only: nothing is compiled, and pip stays behind in this stage.
FROM ${PYTHON} AS packages
COPY requirements.lock .
RUN python -m venv --without-pip /venv \
    && pip --python /venv/bin/python install --no-cache-dir --only-binary=:all: --require-hashes -r requirements.lock

FROM ${PYTHON}
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app

# The bot needs to write its data folder and nothing else.
RUN useradd --create-home --uid 10001 sgnl && mkdir -m 700 /app/data && chown sgnl /app/data
COPY --from=packages /venv /venv
COPY bot bot
COPY features features
COPY fetchers fetchers
COPY scoring scoring
COPY storage storage
RUN python -m compileall -q .

USER sgnl
VOLUME /app/data
EXPOSE 8080

# Python is at hand and curl is not; 503 raises and so reads as unhealthy.
HEALTHCHECK --interval=30s --timeout=5s --start-period=90s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/health', timeout=4)"]

STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "bot"]
CMD ["run"]
