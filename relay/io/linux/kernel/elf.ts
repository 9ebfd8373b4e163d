/** One program of an eBPF object and the maps that its instructions name. */
export interface BpfObject {
  readonly instructions: Uint8Array
  readonly license: string
  /** Where an instruction loads the address of a map: its offset in `instructions`, and the map's name. */
  readonly mapLoads: readonly { readonly at: number; readonly map: string }[]
}

const MAGIC = 0x464c457f
const SYMBOL_TABLE = 2
const SYMBOL_BYTES = 24
const RELOCATION_BYTES = 16
/** R_BPF_64_64: the 64-bit immediate of a load of two instructions. */
const MAP_RELOCATION = 1
const MAP_LOAD = 0x18
const MAP_BY_DESCRIPTOR = 1 << 4

interface Section {
  readonly name: string
  readonly type: number
  readonly offset: number
  readonly size: number
  readonly link: number
}

/** Reads what clang makes of a file with one program: sections, symbols, relocations against maps (ELF-64, little endian). */
export function readBpfObject(bytes: Uint8Array, program: string): BpfObject {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (view.getUint32(0, true) !== MAGIC) throw new Error('the object is no ELF file')
  const sections = readSections(view, bytes)
  const section = (name: string): Section => {
    const found = sections.find((one) => one.name === name)
    if (!found) throw new Error(`the object has no section ${name}`)
    return found
  }
  const code = section(program)
  const symbols = sections.find(({ type }) => type === SYMBOL_TABLE)
  if (!symbols) throw new Error('the object has no symbols')
  const names = sections[symbols.link]!
  const relocations = section(`.rel${program}`)
  const mapLoads = Array.from({ length: relocations.size / RELOCATION_BYTES }, (_, i) => {
    const at = relocations.offset + i * RELOCATION_BYTES
    if (view.getUint32(at + 8, true) !== MAP_RELOCATION) throw new Error('the object calls what is not in it')
    const symbol = symbols.offset + view.getUint32(at + 12, true) * SYMBOL_BYTES
    return {
      at: Number(view.getBigUint64(at, true)),
      map: textAt(bytes, names.offset + view.getUint32(symbol, true)),
    }
  })
  return {
    instructions: new Uint8Array(bytes.subarray(code.offset, code.offset + code.size)),
    license: textAt(bytes, section('license').offset),
    mapLoads,
  }
}

/** The instructions with the descriptors of maps in them. */
export function linkMaps(
  { instructions, mapLoads }: BpfObject,
  maps: Readonly<Record<string, number>>,
): Uint8Array {
  const linked = new Uint8Array(instructions)
  const view = new DataView(linked.buffer)
  for (const { at, map } of mapLoads) {
    const descriptor = maps[map]
    if (descriptor === undefined) throw new Error(`the object names a map ${map} that is not made`)
    if (view.getUint8(at) !== MAP_LOAD) throw new Error(`no load of an address at ${at}`)
    view.setUint8(at + 1, (view.getUint8(at + 1) & 0x0f) | MAP_BY_DESCRIPTOR)
    view.setInt32(at + 4, descriptor, true)
  }
  return linked
}

function readSections(view: DataView, bytes: Uint8Array): Section[] {
  const table = Number(view.getBigUint64(0x28, true))
  const entryBytes = view.getUint16(0x3a, true)
  const raw = Array.from({ length: view.getUint16(0x3c, true) }, (_, i) => {
    const at = table + i * entryBytes
    return {
      nameAt: view.getUint32(at, true),
      type: view.getUint32(at + 4, true),
      offset: Number(view.getBigUint64(at + 24, true)),
      size: Number(view.getBigUint64(at + 32, true)),
      link: view.getUint32(at + 40, true),
    }
  })
  const names = raw[view.getUint16(0x3e, true)]!.offset
  return raw.map(({ nameAt, ...rest }) => ({ ...rest, name: textAt(bytes, names + nameAt) }))
}

function textAt(bytes: Uint8Array, at: number): string {
  return new TextDecoder().decode(bytes.subarray(at, bytes.indexOf(0, at)))
}
