import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { commonWords } from '../../../src/shared/domain/common-words.ts'
import { passwordFault } from '../../../src/shared/domain/password-fault.ts'

const owner = { email: 'mina.kim@quality.example', name: 'Mina Moon' }

describe('a new password', () => {
  test.each([
    'password123',
    'P@ssw0rd2024!',
    'Passw0rd!!',
    '1234567890',
    '0987654321',
    '123123123123',
    'qwertyuiop',
    '1q2w3e4r5t',
    '1qaz2wsx3edc',
    'aaaaaaaaaaaa',
    'abcabcabcabc',
    'iloveyou2024',
    'iloveyouiloveyou',
    'letmein12345',
    'university',
    'washington',
    'sunshine1990',
    '비밀번호비밀번호비밀번호',
    'ＰＡＳＳＷＯＲＤ１２３',
  ])('%s is refused: many use it', (password) => {
    expect(passwordFault(password, owner)).toContain('too easy')
  })

  test.each(['Atelier2024!', 'atelier-atelier', 'mina.kim2024', 'Mina Moon 1999', 'quality12345'])(
    '%s is refused: it is the site or the owner',
    (password) => {
      expect(passwordFault(password, owner)).toContain('too easy')
    },
  )

  test.each([
    'correct horse battery',
    'seven quiet lanterns drift',
    'correcthorsebatterystaple',
    'a quiet harbour',
    '9fJ2kq8Zx1',
    'tr0ub4dor&3xyz',
    '우리 회사 점심은 김치찌개',
    '🦊🐻🐼🐨🐯🦁🐮🐷🐸🐵',
  ])('%s is taken', (password) => {
    expect(passwordFault(password, owner)).toBeNull()
  })

  test('of two common words with a year is always refused', () => {
    const word = fc.constantFrom(...commonWords)
    const year = fc.integer({ min: 1950, max: 2049 })
    fc.assert(
      fc.property(word, word, year, (first, second, at) => {
        expect(passwordFault(`${first}${second}${at}`, owner)).not.toBeNull()
      }),
      // The first word and the first letter of the second are another word.
      { examples: [['daniel', 'administrator', 1950]] },
    )
  })

  test('of 24 random letters and digits is nearly always taken', () => {
    const characters = 'abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789'.split('')
    const random = fc.array(fc.constantFrom(...characters), { minLength: 24, maxLength: 24 })
    const taken = fc
      .sample(random, 500)
      .filter((letters) => passwordFault(letters.join(''), owner) === null)
    expect(taken.length).toBeGreaterThan(490)
  })

  test('is judged at once, whatever it is made of', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 256 }), (bytes) => {
        const password = Buffer.from(bytes).toString('utf16le')
        expect(typeof passwordFault(password, owner)).toMatch(/object|string/)
      }),
    )
    const started = performance.now()
    // One character of these becomes 18 in NFKC.
    passwordFault('\ufdfa'.repeat(128), owner)
    passwordFault(`${'ab'.repeat(63)}cc`, { email: '+.*?(@x.example', name: '(((' })
    expect(performance.now() - started).toBeLessThan(1000)
  })
})
