import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { stringify } from 'yaml'
import { customResourceDefinition } from '../operator/api/crd.ts'
import { performanceDocument } from './performance.ts'
import { reference } from './reference.ts'

/** Writes what is generated from the schemas; with `--check` only says which of it is stale. */

const root = join(import.meta.dirname, '..')
const header = '# Generated from operator/api by `npm run generate`; edit the schema there.\n'

const outputs: Record<string, string> = {
  'charts/turnfleet/crds/turnclusters.turnfleet.dev.yaml':
    header + stringify(customResourceDefinition(), { lineWidth: 110 }),
  'docs/reference.md': reference(),
  'docs/performance.md': performanceDocument(root),
}

const stale: string[] = []
for (const [path, content] of Object.entries(outputs)) {
  const file = join(root, path)
  const current = await readFile(file, 'utf8').catch(() => undefined)
  if (current === content) continue
  stale.push(path)
  if (process.argv.includes('--check')) continue
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, content)
}

if (process.argv.includes('--check') && stale.length > 0) {
  console.error(`stale: ${stale.join(', ')}\nrun \`npm run generate\` and commit the result`)
  process.exitCode = 1
} else {
  console.log(stale.length > 0 ? `wrote ${stale.join(', ')}` : 'generated files are current')
}
