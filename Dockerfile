# The app for machines without a GPU, as a user that owns nothing but /data. docs/deploy.md says how
# to build and start it; deploy/rehearse.sh builds it without a Docker daemon.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS installed
# Where PyTorch's wheels come from. There is no default: the usual index has them with CUDA, which is
# several GB more and of no use here.
ARG TORCH_INDEX
RUN : "${TORCH_INDEX:?Name it with --build-arg TORCH_INDEX=..., see docs/deploy.md}"
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PIP_NO_CACHE_DIR=1
COPY requirements.txt requirements.lock ./
RUN pip install --no-deps --index-url "$TORCH_INDEX" $(grep -E '^torch(vision)?==' requirements.lock)
RUN pip install -r requirements.txt -c requirements.lock
# What only compilers and the libraries' own tests read: a sixth of it all.
RUN cd /opt/venv/lib/python3*/site-packages \
    && rm -rf torch/include torch/test \
    && find . -type d -name tests -prune -exec rm -rf {} +
COPY . /tmp/checkout
RUN pip install --no-deps /tmp/checkout

FROM ${BASE}
RUN useradd --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin lab \
    && install --directory --owner lab --group lab /data
COPY --from=installed /opt/venv /opt/venv
# Nothing is written here later: the root may be mounted for reading only.
WORKDIR /app
COPY deploy/healthy.py .
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    VAE_STORE=/data/runs \
    VAE_DATA=/data/data \
    VAE_CACHE=/data/cache \
    STREAMLIT_SERVER_ADDRESS=0.0.0.0
USER 10001
VOLUME /data
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "healthy.py"]
ENTRYPOINT ["latent-workbench"]
