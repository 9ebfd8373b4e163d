import { readFileSync, writeFileSync } from 'node:fs'

const SWITCH = '/proc/sys/kernel/bpf_stats_enabled'

/** Has the kernel count what eBPF programs run for, while `work` goes on: some tens of nanoseconds a run. */
export async function withProgramStatistics<T>(work: () => Promise<T>): Promise<T> {
  const before = readFileSync(SWITCH, 'utf8')
  writeFileSync(SWITCH, '1')
  try {
    return await work()
  } finally {
    writeFileSync(SWITCH, before)
  }
}
