import type { Socket } from 'node:net'
import type { z } from 'zod'

const LINE_BYTES_MAX = 262_144

/** One JSON value a line, both ways, on a connection between two relays. */
export class LineChannel<In, Out> {
  readonly #socket: Socket
  readonly #schema: z.ZodType<In>
  readonly #lines: string[] = []
  #text = ''
  #ended: Error | undefined
  #look: () => void = () => undefined

  constructor(socket: Socket, schema: z.ZodType<In>) {
    this.#socket = socket
    this.#schema = schema
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => this.#take(text))
    socket.on('error', (error) => this.#end(error))
    socket.on('close', () => this.#end(new Error('the other relay has closed the connection')))
  }

  send(message: Out): void {
    this.#socket.write(`${JSON.stringify(message)}\n`)
  }

  /** The next message; rejects when none comes in time, or none that is one. */
  next(withinMs: number): Promise<In> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#end(new Error('the other relay does not answer')), withinMs)
      this.#look = () => {
        const line = this.#lines.shift()
        if (line === undefined && !this.#ended) return
        clearTimeout(timer)
        this.#look = () => undefined
        try {
          if (line === undefined) throw this.#ended
          resolve(this.#schema.parse(JSON.parse(line)))
        } catch (error) {
          reject(error)
        }
      }
      this.#look()
    })
  }

  /** Ends the connection once all is sent. */
  close(): void {
    this.#socket.end()
  }

  abort(): void {
    this.#socket.destroy()
  }

  #take(text: string): void {
    const lines = (this.#text + text).split('\n')
    this.#text = lines.pop() ?? ''
    if (this.#text.length > LINE_BYTES_MAX) this.#end(new Error('the other relay sends no lines'))
    this.#lines.push(...lines)
    this.#look()
  }

  #end(error: Error): void {
    this.#ended ??= error
    this.#look()
  }
}
