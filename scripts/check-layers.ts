import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { IMPURE, LAYERS, type Layer, SOLE_IMPORTERS } from './layers.ts'

/** One broken rule: where, and what to do about it. */
export interface Violation {
  readonly file: string
  readonly line: number
  readonly message: string
}

const IMPORT = /(?:^(?:import|export)\b[^'"]*?\bfrom\s*|^import\s*|\bimport\s*\(\s*)(['"])([^'"\n]+)\1/gm
const COMMENT = /\/\*[\s\S]*?\*\/|(?<![:'"`\\])\/\/[^\n]*/g

/** The broken rules of one source file; `file` is its path from the root, with forward slashes. */
export function checkFile(file: string, source: string): Violation[] {
  const layer = layerOf(file)
  if (!layer) return [{ file, line: 1, message: 'lies in no room: add its folder to scripts/layers.ts' }]
  const code = source.replace(COMMENT, (text) => text.replace(/[^\n]/g, ' '))
  const found: Violation[] = []
  for (const match of code.matchAll(IMPORT)) {
    const message = judgeImport(file, layer, match[2] as string)
    if (message) found.push({ file, line: lineAt(code, match.index), message })
  }
  return layer.pure ? [...found, ...impurities(file, code)] : found
}

/** Every rule broken in the tree under `root`; tests and pages of the browser are not held to the rooms. */
export function checkTree(root: string): Violation[] {
  return ['relay', 'operator'].flatMap((top) =>
    readdirSync(join(root, top), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.test.ts'))
      .map((entry) => relative(root, join(entry.parentPath, entry.name)).split('\\').join('/'))
      .filter((file) => !file.includes('/page/') && !file.includes('/testing/'))
      .flatMap((file) => checkFile(file, readFileSync(join(root, file), 'utf8'))),
  )
}

function layerOf(file: string): Layer | undefined {
  return LAYERS.filter((layer) => within(file, layer.path)).sort((a, b) => b.path.length - a.path.length)[0]
}

function within(file: string, room: string): boolean {
  return file === room || file.startsWith(`${room}/`)
}

function judgeImport(file: string, layer: Layer, specifier: string): string | undefined {
  const sole = SOLE_IMPORTERS.find((rule) => rule.specifier.test(specifier))
  if (sole && !within(file, sole.room)) return `only ${sole.room} may import ${specifier}`
  if (specifier.startsWith('.')) {
    const target = posix.join(posix.dirname(file), specifier)
    if (within(target, folderOf(layer)) || layer.rooms.some((room) => within(target, room))) return undefined
    return `${layer.path} may not import ${target}; it may import ${layer.rooms.join(', ') || 'no other room'}`
  }
  if (specifier.startsWith('node:')) {
    return layer.pure
      ? `${layer.path} is pure and may not import ${specifier}: take what it does as an argument`
      : undefined
  }
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
  if (layer.packages === 'any' || layer.packages.includes(name)) return undefined
  return `${layer.path} may not import the package ${name}`
}

/** A file named apart from its folder still belongs to it. */
function folderOf(layer: Layer): string {
  return layer.path.endsWith('.ts') ? posix.dirname(layer.path) : layer.path
}

function impurities(file: string, code: string): Violation[] {
  const strings = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/g
  const bare = code.replace(strings, (text) => `'${' '.repeat(Math.max(0, text.length - 2))}'`)
  return IMPURE.flatMap(({ pattern, instead }) =>
    [...bare.matchAll(new RegExp(pattern, 'g'))].map((match) => ({
      file,
      line: lineAt(bare, match.index),
      message: `pure code may not use ${match[0].replace(/\s*\($/, '')}: ${instead}`,
    })),
  )
}

function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const violations = checkTree(dirname(dirname(fileURLToPath(import.meta.url))))
  for (const { file, line, message } of violations) console.error(`${file}:${line}: ${message}`)
  process.exitCode = violations.length > 0 ? 1 : 0
}
