import {
  type Bindings,
  type ChildLoggerOptions,
  type DestinationStream,
  type Logger,
  pino,
} from 'pino'
import { redact, redactFields, redactText } from './redact.ts'

export type { Logger } from 'pino'

export type LoggerOptions = {
  /** Name of the process, in every line. */
  readonly process: string
  readonly level?: 'debug' | 'info' | 'warn' | 'error' | undefined
  /** Standard output unless a test says otherwise. */
  readonly destination?: DestinationStream | undefined
}

/**
 * A logger that writes one JSON object per line. Log one constant sentence plus fields:
 * `log.info({ jobId }, 'job started')`. Secrets, prompts and mail addresses are blanked by name.
 */
export function createLogger(options: LoggerOptions): Logger {
  const settings = {
    level: options.level ?? 'info',
    base: { process: options.process, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: {
      level: (label: string) => ({ level: label }),
      log: (fields: object) => redactFields(fields),
    },
    // The default would turn errors into objects of its own before they are redacted.
    serializers: { err: (error: unknown) => redact(error) },
    hooks: { streamWrite: redactText },
  }
  const { destination } = options
  return redactChildren(destination === undefined ? pino(settings) : pino(settings, destination))
}

/** pino writes the fields of a child as they are, whatever formatters its parent has. */
function redactChildren(log: Logger): Logger {
  // Called with its own `this` below, as pino's children find their parent by it.
  // oxlint-disable-next-line typescript/unbound-method -- see above
  const plain: (bindings: Bindings, options?: ChildLoggerOptions) => Logger = log.child
  return Object.assign(log, {
    child(this: Logger, bindings: Bindings, options?: ChildLoggerOptions): Logger {
      return plain.call(this, redactFields(bindings), options)
    },
  })
}
