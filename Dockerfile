# Two images from one file: `--target operator` and `--target relay`.
# BASE is any image with Node 24 and npm.
ARG BASE=node:24-bookworm-slim

FROM ${BASE} AS operator-packages
WORKDIR /app
COPY package.json package-lock.json ./
COPY examples/video-call/package.json examples/video-call/
RUN npm ci --omit=dev --ignore-scripts --prefer-offline --workspaces=false --no-audit --no-fund

FROM operator-packages AS relay-packages
RUN npm pkg delete dependencies.@kubernetes/client-node dependencies.fastify dependencies.@peculiar/x509 dependencies.reflect-metadata workspaces \
 && npm prune --omit=dev --offline

# A process that is not root may bind port 443 only through a file capability, and where the container is not
# given that capability such a file cannot start at all: a copy has it, and the plain node stays as it is.
# The operator names the copy as the command of relays that listen below port 1024.
FROM ${BASE} AS privileged-ports
RUN command -v setcap >/dev/null \
 || (apt-get update && apt-get install -y --no-install-recommends libcap2-bin)
RUN cp "$(command -v node)" /usr/local/bin/node-privileged-ports \
 && setcap cap_net_bind_service=+ep /usr/local/bin/node-privileged-ports

# The kernel data path needs more; setpriv hands capabilities of its file on to the node that it starts.
FROM privileged-ports AS kernel-path
RUN cp "$(command -v setpriv)" /usr/local/bin/with-kernel-path \
 && setcap cap_bpf,cap_net_admin,cap_perfmon,cap_net_bind_service=+ep /usr/local/bin/with-kernel-path

FROM ${BASE} AS relay
ENV NODE_ENV=production
WORKDIR /app
COPY --from=privileged-ports /usr/local/bin/node-privileged-ports /usr/local/bin/
COPY --from=kernel-path /usr/local/bin/with-kernel-path /usr/local/bin/
COPY --from=relay-packages /app/package.json ./
COPY --from=relay-packages /app/node_modules node_modules
COPY relay relay
# A relay takes half the time to start and 30 MB less when Node finds it compiled. The cache is of one user id.
RUN mkdir -p node_modules/.cache && chown 65532:65532 node_modules/.cache
USER 65532:65532
RUN set -e; printf '%s\n' 'realm: build' 'listeners: [{protocol: udp, address: 127.0.0.1, port: 0}]' \
      'relay: {addresses: [{advertise: 127.0.0.1}]}' 'control: {address: 127.0.0.1, port: 0}' > /tmp/build.yaml; \
    node relay/main.ts --config /tmp/build.yaml > /tmp/build.log & relay=$!; \
    for try in $(seq 300); do grep -q '"msg":"ready"' /tmp/build.log && break; sleep 0.2; done; \
    kill "$relay"; wait "$relay"; rm /tmp/build.yaml /tmp/build.log
ENTRYPOINT ["node", "/app/relay/main.ts"]

FROM ${BASE} AS operator
ENV NODE_ENV=production NODE_COMPILE_CACHE=/app/node_modules/.cache
WORKDIR /app
COPY --from=operator-packages /app/package.json ./
COPY --from=operator-packages /app/node_modules node_modules
COPY relay relay
COPY operator operator
RUN mkdir -p node_modules/.cache && chown 65532:65532 node_modules/.cache
USER 65532:65532
RUN node operator/main.ts --help > /dev/null
ENTRYPOINT ["node", "/app/operator/main.ts"]
