import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { passwordFault, type PasswordOwner } from '../../shared/domain/password-fault.ts'
import { AppError } from '../../shared/errors.ts'
import { newPassword, passwordLength } from '../../shared/wire/text.ts'

/** Standard input and where questions are asked: standard error, so that output stays clean. */
export type Terminal = {
  readonly stdin: NodeJS.ReadStream
  readonly stderr: NodeJS.WritableStream
}

/** The first line of standard input. Errors: `request.invalid` for a password that is no good. */
export async function readPassword(stdin: NodeJS.ReadStream, owner: PasswordOwner) {
  const [line = ''] = (await text(stdin)).split(/\r?\n/)
  return requireGood(line, owner)
}

/** Asks twice without showing what is typed. Errors: `request.invalid`. */
export async function askPassword({ stdin, stderr }: Terminal, owner: PasswordOwner) {
  if (!stdin.isTTY) {
    const message = 'there is no terminal to ask on: use --password-stdin or --generate'
    throw new AppError('request.invalid', message)
  }
  const first = requireGood(await askHidden({ stdin, stderr }, 'Password: '), owner)
  const again = await askHidden({ stdin, stderr }, 'Again: ')
  if (first !== again) throw new AppError('request.invalid', 'the two passwords differ')
  return first
}

const generatedBytes = 24

export function generatePassword(randomBytes: (size: number) => Uint8Array): string {
  return Buffer.from(randomBytes(generatedBytes)).toString('base64url')
}

function requireGood(password: string, owner: PasswordOwner): string {
  const { min, max } = passwordLength
  if (!newPassword.safeParse(password).success) {
    throw new AppError('request.invalid', `the password must have ${min} to ${max} characters`)
  }
  const fault = passwordFault(password, owner)
  if (fault === null) return password
  throw new AppError('request.invalid', `the password ${fault}`)
}

/** Readline echoes to its output only; the terminal itself does not echo while it reads. */
async function askHidden({ stdin, stderr }: Terminal, question: string): Promise<string> {
  const output = new Writable({ write: (_chunk, _encoding, done) => done() })
  const reader = createInterface({ input: stdin, output, terminal: true })
  const stopped = new AbortController()
  reader.once('SIGINT', () => stopped.abort())
  reader.once('close', () => stopped.abort())
  stderr.write(question)
  try {
    return await reader.question('', { signal: stopped.signal })
  } catch (cause) {
    throw new AppError('request.invalid', 'no password was given', { cause })
  } finally {
    reader.close()
    stderr.write('\n')
  }
}
