import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The inputs that the repository keeps for a target: base64, one a line; `#` starts a remark. */
export function readCorpus(target: string): Uint8Array[] {
  const file = corpusFile(target)
  if (!existsSync(file)) return []
  return lines(file)
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => new Uint8Array(Buffer.from(line, 'base64')))
}

/** Replaces the inputs of a target; findings, each under its remark, stay at the top. */
export function writeCorpus(target: string, inputs: readonly Uint8Array[]): void {
  const file = corpusFile(target)
  const kept = existsSync(file) ? findings(lines(file)) : []
  const rest = inputs.map((input) => Buffer.from(input).toString('base64'))
  const fresh = [...new Set(rest)].filter((line) => line !== '' && !kept.includes(line))
  writeFileSync(file, `${[...kept, ...fresh].join('\n')}\n`)
}

/** Keeps what an input found as a test for good. */
export function addFinding(target: string, input: Uint8Array, remark: string): void {
  const file = corpusFile(target)
  const rest = existsSync(file) ? readFileSync(file, 'utf8') : ''
  writeFileSync(
    file,
    `# ${remark.replaceAll(/\s+/g, ' ')}\n${Buffer.from(input).toString('base64')}\n${rest}`,
  )
}

export function corpusFile(target: string): string {
  return fileURLToPath(new URL(`corpus/${target}.txt`, import.meta.url))
}

function findings(all: readonly string[]): string[] {
  return all.filter((line, index) => line.startsWith('#') || all[index - 1]?.startsWith('#'))
}

function lines(file: string): string[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.trim())
}
