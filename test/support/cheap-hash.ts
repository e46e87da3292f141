import { argon2Sync } from 'node:crypto'

/**
 * A stored password for people whom a test makes, as cheap as argon2 can be: it saves 50 ms of a
 * core at each sign-in. The real cost is looked at in test/unit/api-http/passwords.test.ts.
 */
export function hashCheaply(password: string): string {
  const nonce = Buffer.from('the salt of tests')
  const cost = { memory: 8, passes: 1, parallelism: 1, tagLength: 32 }
  const tag = argon2Sync('argon2id', { message: Buffer.from(password), nonce, ...cost })
  const [salt, end] = [nonce, tag].map((one) => one.toString('base64').replaceAll('=', ''))
  return `$argon2id$v=19$m=${cost.memory},t=${cost.passes},p=${cost.parallelism}$${salt}$${end}`
}
