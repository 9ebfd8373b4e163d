import {
  DEFAULT_LISTENERS,
  DEFAULT_TLS_LISTENER,
  type Listener,
  type TurnClusterSpec,
} from './turn-cluster.ts'

/** The listeners of every relay: those of the spec, else the default ones, with TLS where `tls` is set. */
export function effectiveListeners(spec: Pick<TurnClusterSpec, 'listeners' | 'tls'>): Listener[] {
  if (spec.listeners) return spec.listeners
  return spec.tls ? [...DEFAULT_LISTENERS, DEFAULT_TLS_LISTENER] : [...DEFAULT_LISTENERS]
}

/** The further realm that a listener challenges for; undefined: the default one. */
export function realmOfListener(
  realms: TurnClusterSpec['realms'],
  listener: string | undefined,
): string | undefined {
  return realms.find(({ listeners }) => listener !== undefined && listeners.includes(listener))?.realm
}
