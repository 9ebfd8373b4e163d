import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, release } from 'node:os'

const PION_MODULE = new URL('../rivals/pion/go.mod', import.meta.url)

/** What figures depend on: they are compared only where all of it is the same. */
export function thisMachine(): Record<string, string> {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: String(cpus().length),
    kernel: `Linux ${release()}`,
    node: process.versions.node,
    openssl: process.versions.openssl,
    coturn: /[\d.]+/.exec(said('turnserver', '--version'))?.[0] ?? 'absent',
    pion: /pion\/turn\/v\d+ v([\d.]+)/.exec(readFileSync(PION_MODULE, 'utf8'))?.[1] ?? 'absent',
  }
}

function said(program: string, ...args: string[]): string {
  try {
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  } catch (error) {
    return String((error as { stdout?: string }).stdout ?? '')
  }
}
