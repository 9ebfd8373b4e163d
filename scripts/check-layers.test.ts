import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkFile } from './check-layers.ts'

const broken: Record<string, [file: string, source: string, message: RegExp]> = {
  'a pure room imports node': ['relay/turn/a.ts', "import net from 'node:net'", /pure.*node:net/],
  'a pure room imports a package': ['relay/stun/a.ts', "import { z } from 'zod'", /package zod/],
  'a pure room imports a room above it': [
    'relay/stun/a.ts',
    "import { x } from '../turn/b.ts'",
    /may not import relay\/turn/,
  ],
  'a type import is an import': [
    'relay/stun/a.ts',
    "import type { X } from '../turn/b.ts'",
    /may not import/,
  ],
  'a re-export is an import': ['relay/stun/a.ts', "export * from '../turn/b.ts'", /may not import/],
  'a dynamic import is an import': ['relay/turn/a.ts', "const x = await import('node:fs')", /node:fs/],
  'the relay imports the operator': [
    'relay/control/a.ts',
    "import { x } from '../../operator/api/y.ts'",
    /may not import operator/,
  ],
  'the operator imports the relay core': [
    'operator/fleet/a.ts',
    "import { x } from '../../relay/turn/y.ts'",
    /may not import relay\/turn/,
  ],
  'the Kubernetes client outside its room': [
    'operator/http/a.ts',
    "import k from '@kubernetes/client-node'",
    /only operator\/kube/,
  ],
  'FFI outside its room': ['relay/io/portable/a.ts', "import koffi from 'koffi'", /only relay\/io\/linux/],
  'a pure room reads the clock': ['relay/turn/a.ts', 'const now = Date.now()', /Date\.now.*time/],
  'a pure room reads the clock through new Date()': [
    'operator/controller/status.ts',
    'const d = new Date()',
    /time/,
  ],
  'a pure room rolls dice': ['operator/specs/a.ts', 'const x = Math.random()', /randomness/],
  'a pure room sets a timer': ['relay/client/a.ts', 'setTimeout(go, 5)', /timers/],
  'a pure room reads the environment': ['operator/autoscaler/a.ts', 'process.env.HOME', /process/],
  'a file in no room': ['operator/elsewhere/a.ts', '', /no room/],
}

for (const [name, [file, source, message]] of Object.entries(broken)) {
  test(`refused: ${name}`, () => {
    const [first, ...rest] = checkFile(file, `\n${source}\n`)
    assert.match(first?.message ?? 'nothing was found', message)
    assert.equal(first?.line, source === '' ? 1 : 2)
    assert.deepEqual(rest, [])
  })
}

const sound: Record<string, [file: string, source: string]> = {
  'a pure room imports the one below': ['relay/turn/a.ts', "import { x } from '../stun/b.ts'"],
  'the words in comments and strings': [
    'relay/turn/a.ts',
    "// Date.now() is not for us\nconst s = 'process.env'",
  ],
  'the word from in a list of strings': ['relay/turn/a.ts', "const labels = [\n  'from',\n  'to',\n]"],
  'a date made from a given time': ['operator/controller/status.ts', 'new Date(nowMs).toISOString()'],
  'the Kubernetes client in its room': ['operator/kube/a.ts', "import k from '@kubernetes/client-node'"],
  'a shell uses node': ['relay/control/a.ts', "import { watch } from 'node:fs'\nsetTimeout(go, 5)"],
}

for (const [name, [file, source]] of Object.entries(sound)) {
  test(`allowed: ${name}`, () => assert.deepEqual(checkFile(file, source), []))
}
