import { basename } from 'node:path'
import { z } from 'zod'
import { podEnvironment } from '../../../shared/domain/pod-contract.ts'
import type { Container } from '../pod.ts'

/** Nodes whose pods may be simulated carry it. */
export const simulatedPodsLabel = 'atelier.dev/simulated-pods'

const seconds = z.number().min(0).max(86_400)

/** What stands for an image instead of a program: time passes, and nothing is made. */
export const simulation = z.strictObject({
  /** How long a job takes. */
  seconds,
  /** The same by model: the name in an assignment, or the last part of a job pod's folder. */
  models: z.record(z.string(), seconds).default({}),
  /** How long a slot of a pool pod takes to load a model. */
  loadSeconds: seconds.default(0),
})
export type Simulation = z.output<typeof simulation>

export function secondsOf({ seconds: otherwise, models }: Simulation, model: string): number {
  return models[model] ?? otherwise
}

/** How long the job of this container takes. */
export function secondsOfContainer(settings: Simulation, { env = [] }: Container): number {
  const folder = env.find(({ name }) => name === podEnvironment.modelFolder)?.value ?? ''
  return secondsOf(settings, basename(folder))
}

type Images = ReadonlyMap<string, { readonly simulate?: Simulation | undefined }>

/** Of the first container that has one; one simulated container makes the whole pod simulated. */
export function simulationOf(
  containers: readonly Pick<Container, 'image'>[],
  images: Images,
): Simulation | undefined {
  return containers
    .map(({ image = '' }) => images.get(image)?.simulate)
    .find((settings) => settings !== undefined)
}

/** A map of images has it for an image that is not run. */
export const simulatedImage = z.strictObject({ simulate: simulation }).transform((image) => {
  return { ...image, command: ['simulated'], workingFolder: undefined, environment: {} }
})
