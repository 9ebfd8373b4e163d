import { COMPONENT_RELAY, LABEL_CLUSTER, LABEL_COMPONENT } from '../api/labels.ts'
import type { PassedOn } from './objects.ts'

const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution'

/** The user's affinity with our own term added: no two relays of a cluster on one node. */
export function relayAffinity(cluster: string, wanted: PassedOn | undefined): PassedOn {
  const antiAffinity = asObject(wanted?.podAntiAffinity)
  const required = antiAffinity[REQUIRED]
  return {
    ...wanted,
    podAntiAffinity: {
      ...antiAffinity,
      [REQUIRED]: [...(Array.isArray(required) ? required : []), oneRelayANode(cluster)],
    },
  }
}

function oneRelayANode(cluster: string): PassedOn {
  return {
    topologyKey: 'kubernetes.io/hostname',
    labelSelector: { matchLabels: { [LABEL_CLUSTER]: cluster, [LABEL_COMPONENT]: COMPONENT_RELAY } },
  }
}

function asObject(value: unknown): PassedOn {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
}
