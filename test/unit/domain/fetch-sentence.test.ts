import { expect, it } from 'vitest'
import { fetchSentence } from '../../../src/shared/domain/fetch-sentence.ts'

it.each([
  [{ bytesDone: 1_240_000_000, bytesTotal: 6_900_000_000, secondsRemaining: 40 }, '1.2 of 6.9 GB'],
  [{ bytesDone: 0, bytesTotal: 9_100_000, secondsRemaining: 3 }, '0.0 of 9.1 MB'],
  [{ bytesDone: 0, bytesTotal: 0, secondsRemaining: 0 }, '0.0 of 0.0 MB'],
])('the state %j of a fetch begins: %s', (fetch, words) => {
  const rest = `of the model are there; about ${fetch.secondsRemaining} s remain.`
  expect(fetchSentence(fetch)).toBe(`${words} ${rest}`)
})

it('a fetch that stands still says so', () => {
  const fetch = { bytesDone: 5e8, bytesTotal: 1e9, secondsRemaining: null }
  expect(fetchSentence(fetch)).toBe('0.5 of 1.0 GB of the model are there; nothing comes now.')
})
