import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import { createHttpApp } from '../../../src/api/plugins/http-app.ts'

type Asked = { readonly from: string; readonly forwarded?: string }

/** The address that the api takes a request to come from. */
async function addressOf(trustedProxies: readonly string[], { from, forwarded }: Asked) {
  const app = createHttpApp({
    log: pino({ level: 'silent' }),
    publicUrl: 'https://atelier.example',
    newRequestId: () => 'request-1',
    bodyBytesMax: 100,
    trustedProxies,
  })
  app.get('/ip', (request) => request.ip)
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }
  return (await app.inject({ url: '/ip', remoteAddress: from, headers })).body
}

const proxy = '10.1.2.3'
const client = '203.0.113.7'
const forwarded = '6.6.6.6'
const trusted = ['10.0.0.0/8']

describe('the address of a request', () => {
  test.each<Asked & { readonly title: string; readonly trusted: string[]; readonly is: string }>([
    { title: 'without proxies is the peer’s', trusted: [], from: client, forwarded, is: client },
    {
      title: 'of a trusted peer is what it forwards',
      trusted,
      from: proxy,
      forwarded,
      is: '6.6.6.6',
    },
    { title: 'of a trusted peer that forwards none is its own', trusted, from: proxy, is: proxy },
    { title: 'of a stranger is their own', trusted, from: client, forwarded, is: client },
    {
      title: 'is the last that the trusted proxy saw',
      trusted,
      from: proxy,
      forwarded: `6.6.6.6, ${client}`,
      is: client,
    },
    {
      title: 'behind two trusted proxies is the client’s',
      trusted: [proxy, '10.9.9.9'],
      from: proxy,
      forwarded: `${client}, 10.9.9.9`,
      is: client,
    },
    {
      title: 'behind a strange proxy is that proxy’s',
      trusted: [proxy],
      from: proxy,
      forwarded: `${client}, 10.9.9.9`,
      is: '10.9.9.9',
    },
    {
      title: 'may be IPv6',
      trusted: ['fd00::/8'],
      from: 'fd00::1',
      forwarded: '2001:db8::7',
      is: '2001:db8::7',
    },
    {
      title: 'over a dual-stack socket is found all the same',
      trusted,
      from: `::ffff:${proxy}`,
      forwarded,
      is: '6.6.6.6',
    },
  ])('$title', async ({ trusted: proxies, is, ...asked }) => {
    expect(await addressOf(proxies, asked)).toBe(is)
  })

  test('is never taken from a list of proxies that is no list of addresses', async () => {
    await expect(addressOf(['nonsense'], { from: proxy })).rejects.toThrow('invalid IP address')
  })
})
