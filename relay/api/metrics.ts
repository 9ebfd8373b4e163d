/** The metrics of a relay's `/metrics`; labels have values from fixed sets, never a client's text. */
export interface MetricSpec {
  readonly kind: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels?: readonly string[]
}

/** By name. The process metrics of prom-client come beside them, with the prefix `turnfleet_relay_`. */
export const RELAY_METRICS = {
  turnfleet_relay_info: { kind: 'gauge', help: '1, with the version', labels: ['version'] },
  turnfleet_relay_state: { kind: 'gauge', help: '1 for the state the relay is in', labels: ['state'] },
  turnfleet_relay_allocations: { kind: 'gauge', help: 'Live allocations' },
  turnfleet_relay_allocation_capacity: { kind: 'gauge', help: 'Allocations that fit' },
  turnfleet_relay_permissions: { kind: 'gauge', help: 'Live permissions' },
  turnfleet_relay_channels: { kind: 'gauge', help: 'Live channel bindings' },
  turnfleet_relay_peer_connections: { kind: 'gauge', help: 'Connections to and from TCP peers (RFC 6062)' },
  turnfleet_relay_peer_connections_total: {
    kind: 'counter',
    help: 'What became of connections to and from TCP peers',
    labels: ['event'],
  },
  turnfleet_relay_allocations_opened_total: { kind: 'counter', help: 'Allocations made' },
  turnfleet_relay_allocations_closed_total: {
    kind: 'counter',
    help: 'Allocations ended, by reason',
    labels: ['reason'],
  },
  turnfleet_relay_relayed_packets_total: {
    kind: 'counter',
    help: 'Packets of application data relayed, by where they came from',
    labels: ['from'],
  },
  turnfleet_relay_relayed_bytes_total: {
    kind: 'counter',
    help: 'Bytes of application data relayed, by where they came from',
    labels: ['from'],
  },
  turnfleet_relay_offloaded_packets_total: {
    kind: 'counter',
    help: 'Those of turnfleet_relay_relayed_packets_total that the kernel forwarded',
    labels: ['from'],
  },
  turnfleet_relay_offloaded_bytes_total: {
    kind: 'counter',
    help: 'Those of turnfleet_relay_relayed_bytes_total that the kernel forwarded',
    labels: ['from'],
  },
  turnfleet_relay_packets_total: {
    kind: 'counter',
    help: 'Datagrams and stream frames on the sockets, control messages included; transport is udp, tcp, tls, dtls or peer',
    labels: ['transport', 'direction'],
  },
  turnfleet_relay_bytes_total: {
    kind: 'counter',
    help: 'Bytes of turnfleet_relay_packets_total',
    labels: ['transport', 'direction'],
  },
  turnfleet_relay_responses_total: {
    kind: 'counter',
    help: 'Responses, by method and code; 200 is success',
    labels: ['method', 'code'],
  },
  turnfleet_relay_refusals_total: {
    kind: 'counter',
    help: 'Requests refused, by reason',
    labels: ['reason'],
  },
  turnfleet_relay_refused_peers_total: {
    kind: 'counter',
    help: 'Peers that were answered 403, by the rule of the peer policy that refused them',
    labels: ['rule'],
  },
  turnfleet_relay_drops_total: {
    kind: 'counter',
    help: 'Packets that went no further, by reason',
    labels: ['reason'],
  },
  turnfleet_relay_revocations: { kind: 'gauge', help: 'Entries of the list of revoked credentials' },
  turnfleet_relay_streams: { kind: 'gauge', help: 'Open TCP and TLS connections' },
  turnfleet_relay_dtls_sessions: { kind: 'gauge', help: 'Open DTLS sessions, handshakes included' },
  turnfleet_relay_streams_refused_total: {
    kind: 'counter',
    help: 'Connections and DTLS sessions refused or closed by a limit: of the relay (total), of their address, half-open ones of their address, or no whole message in time (first-message)',
    labels: ['reason'],
  },
  turnfleet_relay_stream_framing_errors_total: {
    kind: 'counter',
    help: 'Connections closed because their bytes were neither STUN nor ChannelData',
  },
  turnfleet_relay_tls_handshake_failures_total: {
    kind: 'counter',
    help: 'TLS and DTLS handshakes that failed',
  },
  turnfleet_relay_proxy_headers_refused_total: {
    kind: 'counter',
    help: 'Datagrams dropped and connections closed because a load balancer put no valid PROXY protocol header in front',
  },
  turnfleet_relay_client_queue_drops_total: {
    kind: 'counter',
    help: 'Frames dropped because a client read its connection too slowly',
  },
  turnfleet_relay_icmp_errors_dropped_total: {
    kind: 'counter',
    help: 'ICMP errors that no client was told of, as they were too many for one allocation',
  },
  turnfleet_relay_send_errors_total: { kind: 'counter', help: 'Datagrams the system would not send' },
  turnfleet_relay_loop_turn_seconds: {
    kind: 'histogram',
    help: 'How long an event loop was away from waiting for packets, each time: the longest that one of them waited for it. Of loops with a thread of their own: all but those of the portable data path',
  },
  turnfleet_relay_faults_total: { kind: 'counter', help: 'Packets dropped because of a fault of the relay' },
  turnfleet_relay_listeners: { kind: 'gauge', help: 'Bound listeners', labels: ['protocol'] },
  turnfleet_relay_public_addresses: { kind: 'gauge', help: 'Public addresses in force' },
  turnfleet_relay_tls_certificate_expiry_timestamp_seconds: {
    kind: 'gauge',
    help: 'When the certificate in use ends, Unix time; absent without one',
  },
  turnfleet_relay_config_generation: { kind: 'gauge', help: 'Configurations put in force since start' },
  turnfleet_relay_config_errors_total: { kind: 'counter', help: 'Configurations refused since start' },
  turnfleet_relay_config_problems: {
    kind: 'gauge',
    help: '1 for each reason why something newer is not in force',
    labels: ['reason'],
  },
  turnfleet_relay_reports_total: {
    kind: 'counter',
    help: 'Load reports sent, by result',
    labels: ['result'],
  },
} as const satisfies Record<string, MetricSpec>

export type RelayMetric = keyof typeof RELAY_METRICS
