import { expect } from 'vitest'
import { z } from 'zod'
import type { Progress } from '../../../src/shared/wire/internal.ts'
import { type JobView, jobView } from '../../../src/shared/wire/jobs.ts'
import { ticketView } from '../../../src/shared/wire/realtime.ts'
import { eventually } from '../../support/eventually.ts'
import { type Headers, openSocketClient, type SocketClient } from '../../support/socket-client.ts'
import { type Person, publicUrl, type TestApi } from './harness.ts'

type Opening = { readonly cursor?: string | undefined; readonly headers?: Headers }

/** What tests of sockets do with an api that listens on a real port. */
export type RealtimeScene = {
  /** The address of a socket, with a ticket for the one whose token it is. */
  readonly ticketFor: (token: string) => Promise<string>
  readonly urlOf: (person: Person) => Promise<string>
  /** Resolves after hello. */
  readonly open: (person: Person, opening?: Opening) => Promise<SocketClient>
  readonly viewOf: (person: Person, jobId: string) => Promise<JobView>
  readonly publish: (person: Person, jobId: string, news: Progress) => Promise<void>
  readonly endsCounted: (reason: string) => Promise<number>
  readonly socketsCounted: () => Promise<string | undefined>
  readonly newKey: (scopes: readonly string[]) => Promise<z.infer<typeof keyShape>>
}

const keyShape = z.looseObject({ id: z.string(), key: z.string() })

export function createRealtimeScene(api: TestApi, address: string): RealtimeScene {
  const toHere = (url: string): string =>
    url.replace(publicUrl.replace('http', 'ws'), address.replace('http', 'ws'))
  const ticketFor = async (token: string): Promise<string> => {
    const response = await fetch(`${address}/v1/realtime/tickets`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
    })
    if (response.status !== 201) throw new Error(`no ticket: ${response.status}`)
    return toHere(ticketView.parse(await response.json()).url)
  }
  const urlOf = async (person: Person): Promise<string> =>
    await ticketFor(await api.tokenOf(person))
  const viewOf = async (person: Person, jobId: string): Promise<JobView> =>
    jobView.parse((await api.call({ url: `/v1/jobs/${jobId}`, as: person })).json())
  return {
    ticketFor,
    urlOf,
    viewOf,
    open: async (person, { cursor, headers } = {}) => {
      const url = await urlOf(person)
      const resumed = cursor === undefined ? url : `${url}&cursor=${cursor}`
      const client = await openSocketClient(resumed, headers)
      await eventually(() => expect(client.of('hello')).toHaveLength(1))
      return client
    },
    publish: async (person, jobId, news) => {
      const { revision, owner } = await viewOf(person, jobId)
      const { department, user = null } = owner
      api.core.events.publish({ jobId, revision, progress: news }, { department, user })
    },
    endsCounted: async (reason) => {
      const line = new RegExp(`atelier_api_socket_ends_total\\{reason="${reason}"\\} (\\d+)`)
      return Number(line.exec(await api.registry.metrics())?.[1] ?? 0)
    },
    socketsCounted: async () => /atelier_api_sockets (\d+)/.exec(await api.registry.metrics())?.[1],
    newKey: async (scopes) => {
      const body = { name: 'line 4', scopes }
      const response = await api.call({ method: 'POST', url: '/v1/api-keys', as: 'mina', body })
      return keyShape.parse(response.json())
    },
  }
}

export function progress(sequence: number, preview?: string): Progress {
  const counts = { step: sequence, steps: 20, imagesDone: 0, images: 1, stepsDone: sequence }
  return { sequence, stage: 'Denoising', ...counts, ...(preview !== undefined && { preview }) }
}

export function jobsTold(client: SocketClient): readonly string[] {
  return client.of('job').map(({ data }) => data.id)
}
