import { canonicalJson, contentHash } from '../api/hash.ts'
import { effectiveListeners } from '../api/listeners.ts'
import type { TurnCluster } from '../api/turn-cluster.ts'
import { handsOver } from './hand-over.ts'
import { keyRingSecretName } from './names.ts'
import type { RelayPodInputs } from './pod.ts'

/** Raised by hand when the pod's shape changes so that running relays must be replaced to be right. */
const TEMPLATE = 1

/**
 * Hash of what a relay cannot take over live; relays of another revision are replaced, one after the other.
 * Listeners, keys, limits, peers and addresses are not in it: they arrive in files that the relay watches.
 * It names its inputs one by one, so that a new version of the operator replaces no relay by itself.
 */
export function relayRevision(
  cluster: Pick<TurnCluster, 'metadata' | 'spec'>,
  inputs: RelayPodInputs,
): string {
  const { spec } = cluster
  const content = {
    template: TEMPLATE,
    image: inputs.image,
    serviceAccountName: inputs.serviceAccountName,
    pod: spec.pod,
    keyRingSecret: keyRingSecretName(cluster),
    tlsSecret: spec.tls?.secretName,
    privilegedPorts: needsPrivilegedPorts(spec),
    handOver: handsOver(spec) || undefined,
    // A relay chooses its data path when it starts, and not every one speaks DTLS.
    datapath: spec.datapath === 'Auto' ? undefined : spec.datapath,
    dtls: effectiveListeners(spec).some(({ protocol }) => protocol === 'DTLS') || undefined,
  }
  return contentHash(canonicalJson(content)).slice(0, 8)
}

const FIRST_UNPRIVILEGED_PORT = 1024

/** Whether a listener needs CAP_NET_BIND_SERVICE. */
export function needsPrivilegedPorts(spec: TurnCluster['spec']): boolean {
  return effectiveListeners(spec).some((listener) => listener.port < FIRST_UNPRIVILEGED_PORT)
}

/** Whether relays are to have the capabilities of the kernel data path. */
export function needsKernelPath(spec: TurnCluster['spec']): boolean {
  return spec.datapath === 'Kernel'
}
