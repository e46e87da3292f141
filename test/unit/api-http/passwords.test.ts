import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createPasswords, limitConcurrency } from '../../../src/api/features/sessions/passwords.ts'

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

describe('a bounded amount of work', () => {
  test('runs so many at once, lets so many wait and refuses the rest', async () => {
    const limited = limitConcurrency({ concurrentMax: 2, waitingMax: 1 })
    const gates = [0, 1, 2].map(() => Promise.withResolvers<string>())
    const started: number[] = []
    const results = gates.map(
      async (gate, index) =>
        await limited(async () => {
          started.push(index)
          return await gate.promise
        }),
    )
    await expect(limited(async () => 'too many')).rejects.toMatchObject({ code: 'rate.limited' })
    expect(started).toEqual([0, 1])
    gates[0]?.resolve('first')
    expect(await results[0]).toBe('first')
    await expect.poll(() => started).toEqual([0, 1, 2])
    gates[1]?.resolve('second')
    gates[2]?.resolve('third')
    expect(await Promise.all(results)).toEqual(['first', 'second', 'third'])
  })

  test('gives its place back when the work fails', async () => {
    const limited = limitConcurrency({ concurrentMax: 1, waitingMax: 0 })
    await expect(limited(async () => await Promise.reject(new Error('no')))).rejects.toThrow('no')
    await expect(limited(async () => 'next')).resolves.toBe('next')
  })
})
