/** A number and what it counts, such as `1 relay` or `3 relays`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
