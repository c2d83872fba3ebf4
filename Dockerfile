# The same steps as the Makefile.
FROM python:3.11-slim
RUN apt-get update && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /medssl
COPY . .
RUN python3.11 -m venv .venv \
    && .venv/bin/pip install --no-cache-dir -c constraints.txt -e '.[dev]' \
    && touch .venv/installed
ENV PATH=/medssl/.venv/bin:$PATH
ENTRYPOINT ["medssl"]
