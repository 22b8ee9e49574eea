# The plain installation of SOAR, or with --build-arg EXTRA='[train]' one that finetunes on a CPU.
#   docker build -t soar . && docker run --rm soar doctor
FROM python:3.12-slim

ARG EXTRA=""
ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1

COPY pyproject.toml README.md LICENSE /src/
COPY src /src/src
# Torch first, from the index of CPU builds: the default one brings gigabytes of CUDA.
RUN if [ -n "$EXTRA" ]; then pip install torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu; fi \
    && pip install "/src${EXTRA}" \
    && rm -rf /src \
    && useradd --uid 1000 --create-home soar

USER soar
WORKDIR /home/soar
ENTRYPOINT ["soar"]
CMD ["--help"]
