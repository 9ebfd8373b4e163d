import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readCorpus } from '../fuzz/corpus.ts'
import { mutate } from '../fuzz/mutate.ts'
import { machine, runMachine } from '../fuzz/targets/machine.ts'
import { Random } from '../simulation/random.ts'

const PROGRAM = 'tshark'
const LINK_TYPE_RAW_IP = 101
const PCAP_HEADER = Buffer.from('d4c3b2a1020004000000000000000000ffff0000', 'hex')
const RECORD_HEADER_BYTES = 16
const IP_AND_UDP_BYTES = 28
const ANSWERS_MIN = 300
/** Longer messages go over streams only. */
const DATAGRAM_BYTES_MAX = 65_507

test('whatever fuzzing made the relay say, Wireshark decodes as STUN', (t) => {
  const said = new Map<string, Uint8Array>()
  const corpus = readCorpus('machine')
  const random = new Random(1)
  const mutants = corpus.map((input) => mutate(input, random.pick(corpus), machine.dictionary, random))
  for (const input of [...corpus, ...mutants]) {
    for (const bytes of runMachine(input).said) {
      if (bytes.length <= DATAGRAM_BYTES_MAX) said.set(Buffer.from(bytes).toString('base64'), bytes)
    }
  }
  assert.ok(said.size >= ANSWERS_MIN, `only ${said.size} different answers`)
  const folder = mkdtempSync(join(tmpdir(), 'turnfleet-tshark-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'said.pcap')
  writeFileSync(file, pcap([...said.values()]))
  const lines = tshark([
    '-r',
    file,
    '-T',
    'fields',
    '-e',
    'stun.type',
    '-e',
    '_ws.expert.message',
    '-e',
    '_ws.malformed',
  ])
  assert.equal(lines.length, said.size)
  const decoded = [...said.keys()].map((key, i) => ({ key, line: lines[i]! }))
  const wrong = decoded.filter(({ line }) => !/^0x[0-9a-f]{4}\t\t$/.test(line))
  assert.deepEqual(wrong, [])
  t.diagnostic(`${said.size} different answers`)
})

/** The lines that tshark prints; throws a sentence that says what to install. */
function tshark(args: readonly string[]): string[] {
  try {
    const output = execFileSync(PROGRAM, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    return output.split('\n').slice(0, -1)
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    throw missing ? new Error('tshark is missing: install the Debian package tshark') : error
  }
}

/** A capture file in which each message is a datagram from the STUN port. */
function pcap(messages: readonly Uint8Array[]): Buffer {
  const linkType = Buffer.alloc(4)
  linkType.writeUInt32LE(LINK_TYPE_RAW_IP)
  return Buffer.concat([PCAP_HEADER, linkType, ...messages.flatMap((bytes) => [header(bytes.length), bytes])])
}

/** Of the record, IPv4 and UDP. */
function header(length: number): Buffer {
  const total = IP_AND_UDP_BYTES + length
  const bytes = Buffer.alloc(RECORD_HEADER_BYTES + IP_AND_UDP_BYTES)
  bytes.writeUInt32LE(total, 8)
  bytes.writeUInt32LE(total, 12)
  const ip = bytes.subarray(RECORD_HEADER_BYTES)
  ip.set([0x45, 0])
  ip.writeUInt16BE(total, 2)
  ip.set([64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 7], 8)
  ip.writeUInt16BE(3478, 20)
  ip.writeUInt16BE(40_000, 22)
  ip.writeUInt16BE(8 + length, 24)
  return bytes
}
