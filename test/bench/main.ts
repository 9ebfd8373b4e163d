/** The benchmarks by name; each shows its own options with --help. */
const BENCHMARKS: Readonly<Record<string, { about: string; run: (args: string[]) => Promise<void> }>> = {
  all: {
    about: 'all that docs/performance.md shows, or parts of it, written to docs/performance.json',
    run: async (args) => (await import('./suite/main.ts')).all(args),
  },
  packets: {
    about: 'ChannelData and Send/Data indications over UDP',
    run: async (args) => (await import('./packets/main.ts')).packets(args),
  },
  forwarding: {
    about: 'all that the kernel path takes of a core, and what it loses',
    run: async (args) => (await import('./forwarding/main.ts')).forwarding(args),
  },
  streams: {
    about: 'ChannelData over TCP and TLS',
    run: async (args) => (await import('./streams/main.ts')).streams(args),
  },
  cycles: {
    about: 'allocations made and ended, from the challenge to the last Refresh',
    run: async (args) => (await import('./cycles/main.ts')).cycles(args),
  },
  memory: {
    about: 'what an allocation takes of a server, and whether it is given back',
    run: async (args) => (await import('./memory/main.ts')).memory(args),
  },
  profile: {
    about: 'where the CPU time of a data path goes, by perf',
    run: async (args) => (await import('./profile/main.ts')).profile(args),
  },
  growth: {
    about: 'the CPU time of a packet with ever more allocations in traffic',
    run: async (args) => (await import('./growth/main.ts')).growth(args),
  },
  hold: {
    about:
      'thousands of allocations that begin, rest, are refreshed and expire, and the event loop meanwhile',
    run: async (args) => (await import('./hold/main.ts')).hold(args),
  },
}

const USAGE = [
  'usage: npm run bench -- [name] [options]',
  '',
  'Measures our relay and others in turn on this machine. Without a name: packets.',
  '',
  ...Object.entries(BENCHMARKS).map(([name, { about }]) => `  ${name.padEnd(10)} ${about}`),
  '',
].join('\n')

async function main(): Promise<void> {
  const args = process.argv.slice(2)
  if (args[0] === '--help') {
    process.stdout.write(USAGE)
    return
  }
  const named = args[0] !== undefined && !args[0].startsWith('-')
  const benchmark = BENCHMARKS[named ? args[0]! : 'packets']
  if (!benchmark) throw new Error(`there is no benchmark ${args[0]}\n\n${USAGE}`)
  await benchmark.run(named ? args.slice(1) : args)
}

await main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
})
