# Two images from one file: `--target operator` and `--target relay`.
# BASE is any image with Node 24 and npm.
ARG BASE=node:24-bookworm-slim

FROM ${BASE} AS operator-packages
WORKDIR /app
COPY package.json package-lock.json ./
COPY examples/video-call/package.json examples/video-call/
RUN npm ci --omit=dev --ignore-scripts --prefer-offline --workspaces=false --no-audit --no-fund

FROM operator-packages AS relay-packages
RUN npm pkg delete dependencies.@kubernetes/client-node dependencies.fastify workspaces \
 && npm prune --omit=dev --offline

# A process that is not root may bind port 443 only through a file capability, and where the container is not
# given that capability such a file cannot start at all: a copy has it, and the plain node stays as it is.
# The operator names the copy as the command of relays that listen below port 1024.
FROM ${BASE} AS privileged-ports
RUN command -v setcap >/dev/null \
 || (apt-get update && apt-get install -y --no-install-recommends libcap2-bin)
RUN cp "$(command -v node)" /usr/local/bin/node-privileged-ports \
 && setcap cap_net_bind_service=+ep /usr/local/bin/node-privileged-ports

FROM ${BASE} AS relay
ENV NODE_ENV=production
WORKDIR /app
COPY --from=privileged-ports /usr/local/bin/node-privileged-ports /usr/local/bin/
COPY --from=relay-packages /app/package.json ./
COPY --from=relay-packages /app/node_modules node_modules
COPY relay relay
USER 65532:65532
ENTRYPOINT ["node", "/app/relay/main.ts"]

FROM ${BASE} AS operator
ENV NODE_ENV=production
WORKDIR /app
COPY --from=operator-packages /app/package.json ./
COPY --from=operator-packages /app/node_modules node_modules
COPY relay relay
COPY operator operator
USER 65532:65532
ENTRYPOINT ["node", "--max-semi-space-size=2", "/app/operator/main.ts"]
