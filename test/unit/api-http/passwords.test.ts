import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createPasswords } from '../../../src/api/features/sessions/passwords.ts'

const passwords = createPasswords(randomBytes)

describe('passwords', () => {
  test('are stored as argon2id in the PHC form, with at least 46 MiB', async () => {
    const phc = await passwords.hash('correct horse battery')
    expect(phc).toMatch(/^\$argon2id\$v=19\$m=47104,t=1,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  })

  test('fit only themselves', async () => {
    const phc = await passwords.hash('correct horse battery')
    expect(await passwords.verify('correct horse battery', phc)).toBe(true)
    expect(await passwords.verify('correct horse battery ', phc)).toBe(false)
    expect(await passwords.verify('', phc)).toBe(false)
  })

  test('fit however their letters are composed', async () => {
    const phc = await passwords.hash('암호는열글자가넘어야해요')
    const typed = '암호는열글자가넘어야해요'.normalize('NFD')
    expect(await passwords.verify(typed, phc)).toBe(true)
    const find = async () => ({ passwordHash: phc })
    expect((await passwords.verifyFound(typed, find, '::1')).matches).toBe(true)
  })

  test('have a salt each', async () => {
    expect(await passwords.hash('same')).not.toBe(await passwords.hash('same'))
  })

  test('of nobody never fit', async () => {
    expect(await passwords.verify('anything', null)).toBe(false)
  })

  test('that are stored in another form are a bug, not a wrong password', async () => {
    await expect(passwords.verify('x', '$2b$10$abc')).rejects.toThrow('not PHC')
  })
})
