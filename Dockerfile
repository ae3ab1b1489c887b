FROM python:3.12-slim AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/rumbo && /opt/rumbo/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
COPY topologies ./topologies
RUN /opt/rumbo/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.12-slim
RUN useradd --system --uid 10001 rumbo && install -d -o rumbo -m 0700 /state
COPY --from=build /opt/rumbo /opt/rumbo
COPY topologies /topologies
USER rumbo
ENV PATH=/opt/rumbo/bin:$PATH RUMBO__STATE_DIR=/state PYTHONDONTWRITEBYTECODE=1
VOLUME /state
ENTRYPOINT ["rumbo"]
CMD ["run", "/topologies/saas"]
