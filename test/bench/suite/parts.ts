/** A column of a part's table. */
export interface Column {
  readonly figure: string
  readonly heading: string
  readonly digits: number
  /** Minimum, median and maximum; else the median alone. */
  readonly spread?: boolean
}

/** What the suite measures under one letter, and how it is shown. */
export interface Part {
  readonly letter: string
  readonly about: string
  readonly columns: readonly Column[]
  /** Whether packets have to arrive one by one with their checksums, as from a network card. */
  readonly wire?: boolean
  /** What servers are compared by: how many times better the median of each is than that of coturn. */
  readonly compared?: { readonly figure: string; readonly better: 'less' | 'more' }
}

const PACKETS: readonly Column[] = [
  { figure: 'sentPerSecond', heading: 'packets/s', digits: 0 },
  { figure: 'cpuMicroseconds', heading: 'CPU µs per packet', digits: 2, spread: true },
  { figure: 'coreMicroseconds', heading: 'core µs', digits: 2 },
  { figure: 'lossPercent', heading: 'lost %', digits: 2 },
]
const LATENCY: readonly Column[] = [
  { figure: 'p50', heading: 'p50 µs', digits: 0 },
  { figure: 'p99', heading: 'p99 µs', digits: 0 },
  { figure: 'p999', heading: 'p99.9 µs', digits: 0 },
]

/** By name, in the order of the document. */
export const PARTS: Readonly<Record<string, Part>> = {
  packets: {
    letter: 'a',
    about:
      'Packets over UDP, both ways. `highest` is the highest offered rate with less than 0.1 % lost; the CPU time there is that of the rate itself. "Core µs" is all that the server\'s core did, interrupts and waking included.',
    columns: PACKETS,
    compared: { figure: 'cpuMicroseconds', better: 'less' },
  },
  streams: {
    letter: 'b',
    about:
      'ChannelData of 160 bytes between TCP or TLS clients and UDP peers, 16 flows, one or four packets of each under way.',
    columns: [
      { figure: 'packetsPerCpuSecond', heading: 'packets per CPU-second', digits: 0, spread: true },
      { figure: 'packetsPerSecond', heading: 'packets/s', digits: 0 },
    ],
    compared: { figure: 'packetsPerCpuSecond', better: 'more' },
  },
  cycles: {
    letter: 'c',
    about:
      'Allocations made and ended, from the challenge over CreatePermission and ChannelBind to Refresh with a lifetime of 0, 32 at a time. coturn refuses an Allocate from a 5-tuple for a while after it was given back; those cycles count as failed.',
    columns: [
      { figure: 'cyclesPerCpuSecond', heading: 'cycles per CPU-second', digits: 0, spread: true },
      { figure: 'cyclesPerSecond', heading: 'cycles/s', digits: 0 },
      { figure: 'failed', heading: 'failed', digits: 0 },
    ],
    compared: { figure: 'cyclesPerCpuSecond', better: 'more' },
  },
  memory: {
    letter: 'd',
    about:
      'Memory of the process for each allocation with a permission and a channel, how much of it is there 30 s after all were given back, and what the queues of the kernel hold.',
    columns: [
      { figure: 'kibEach', heading: 'KiB each', digits: 1, spread: true },
      { figure: 'kibKeptEach', heading: 'kept 30 s after', digits: 1 },
      { figure: 'kernelKibEach', heading: 'in socket queues', digits: 1 },
    ],
    compared: { figure: 'kibEach', better: 'less' },
  },
  latency: {
    letter: 'e',
    about:
      'Latency of single ChannelData packets of 160 bytes, 16 flows, from the generator through the server and back, at 20,000 a second and at half of the highest rate without loss; and the longest times that our event loop was away from waiting, by its own histogram.',
    columns: [
      { figure: 'sentPerSecond', heading: 'packets/s', digits: 0 },
      ...LATENCY,
      { figure: 'turnsOver500us', heading: 'turns above 0.5 ms', digits: 0 },
      { figure: 'turnsOver1ms', heading: 'above 1 ms', digits: 0 },
      { figure: 'turnsPerSecond', heading: 'turns/s', digits: 0 },
    ],
    compared: { figure: 'p50', better: 'less' },
  },
  growth: {
    letter: 'g',
    about:
      '60,000 ChannelData packets of 160 bytes a second in all, spread over ever more allocations. The more flows share a rate, the fewer packets of one socket there are at a time, which costs every server.',
    columns: PACKETS,
    compared: { figure: 'cpuMicroseconds', better: 'less' },
  },
  kernel: {
    letter: 'k',
    about:
      'The kernel path, 100,000 packets a second in bursts of 4, both ways, that arrive one by one with their checksums as from a network card. CPU time is that of the process and of the eBPF program.',
    // The program runs on the core of who sends: what the server's core does says nothing.
    columns: [...PACKETS.filter(({ figure }) => figure !== 'coreMicroseconds'), LATENCY[0]!],
    wire: true,
    compared: { figure: 'cpuMicroseconds', better: 'less' },
  },
  flood: {
    letter: 'f',
    about:
      'A flood from one address beside 16 calls of 20,000 packets a second in all. CPU time for each packet of the flood is what the server takes beyond that of the calls alone. Budgets for answers to strangers are off in our relay here, so that it answers all.',
    columns: [
      { figure: 'floodPerSecond', heading: 'flood/s', digits: 0 },
      { figure: 'cpuMicroseconds', heading: 'CPU µs per flood packet', digits: 2, spread: true },
      { figure: 'lossPercent', heading: 'lost of the calls %', digits: 2 },
      ...LATENCY,
      { figure: 'grownMegabytes', heading: 'grown by MB', digits: 1 },
    ],
    compared: { figure: 'cpuMicroseconds', better: 'less' },
  },
}
