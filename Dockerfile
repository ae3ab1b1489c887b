# syntax=docker/dockerfile:1
FROM python:3.12-slim AS build
WORKDIR /src
COPY requirements-run.lock ./
RUN python -m venv /opt/rumbo && /opt/rumbo/bin/pip install --no-cache-dir --require-hashes -r requirements-run.lock
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
COPY topologies ./topologies
RUN /opt/rumbo/bin/pip install --no-cache-dir --no-deps --no-build-isolation . && /opt/rumbo/bin/python -m compileall -q /opt/rumbo

FROM python:3.12-slim
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin rumbo && install -d -o 10001 -g 10001 -m 0700 /state
COPY --from=build /opt/rumbo /opt/rumbo
COPY topologies /topologies
USER 10001:10001
WORKDIR /state
ENV PATH=/opt/rumbo/bin:$PATH RUMBO__STATE_DIR=/state PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
VOLUME /state
EXPOSE 6066
STOPSIGNAL SIGTERM
ENTRYPOINT ["rumbo"]
CMD ["run", "/topologies/saas"]
