import type { generationJobRules } from '../../../src/shared/crd/generation-job-rules.ts'
import { type Task, tasks } from '../../../src/shared/crd/generation-job.ts'
import {
  condition,
  department,
  fullJob,
  image,
  jobOf,
  type Json,
  type Manifest,
  manyInputs,
  mask,
  reference,
} from './objects.ts'

/** A change of a stored object: `before` is created, `after` is what somebody sends next. */
export type Update = { readonly before: Manifest; readonly after: Manifest }
export type Attempt = Manifest | Update

/** What a rule lets through and what it, and no other rule, refuses. */
export type RuleExamples = {
  readonly accepted: readonly Attempt[]
  readonly refused: readonly Attempt[]
}

export type ExamplesOf<Table> = {
  readonly [Place in keyof Table]: { readonly [Name in keyof Table[Place]]: RuleExamples }
}

export function isUpdate(attempt: Attempt): attempt is Update {
  return 'before' in attempt
}

function withSpec(object: Manifest, changes: Json): Manifest {
  return { ...object, spec: { ...object.spec, ...changes } }
}

/** Each change alone is refused; a change of something else is accepted. */
export function immutable(
  before: Manifest,
  refused: readonly Json[],
  accepted: Json,
): RuleExamples {
  const update = (changes: Json): Update => ({ before, after: withSpec(before, changes) })
  return { accepted: [update({}), update(accepted)], refused: refused.map(update) }
}

function job(refused: readonly Json[]): RuleExamples {
  return immutable(fullJob, refused, {
    suspend: false,
    priority: 1,
    backoffLimit: 0,
    cancel: true,
    activeDeadlineSeconds: 7,
    queueTimeoutSeconds: 7,
    ttlSecondsAfterFinished: 7,
  })
}

/** An optional field may neither change, nor vanish, nor appear. */
function optional(field: string, other: unknown): RuleExamples {
  const { [field]: value, ...rest } = fullJob.spec
  const bare = { ...fullJob, spec: rest }
  const { accepted, refused } = job([{ [field]: other }, { [field]: undefined }])
  return {
    accepted: [...accepted, { before: bare, after: bare }],
    refused: [...refused, { before: bare, after: withSpec(bare, { [field]: value }) }],
  }
}

function ended(status: string, reason: string): Json {
  return { conditions: [{ ...condition, status, reason }] }
}

const owner = { department, user: 'kim', limits: { runningJobs: 2, queuedJobs: 20 } }
const running = { conditions: [condition] }

function statusChange(before: Json, after: Json | undefined): Update {
  const plain = jobOf('TextToImage')
  return {
    before: { ...plain, status: before },
    after: { ...plain, ...(after && { status: after }) },
  }
}

const other = { ...condition, type: 'PodsReady' }

/** The parameter is taken for the tasks that use it and refused for all others. */
function onlyFor(users: readonly Task[], parameters: Json): RuleExamples {
  const jobWith = (task: Task) => jobOf(task, { parameters: { prompt: 'a dent', ...parameters } })
  return {
    accepted: users.map(jobWith),
    refused: tasks.filter((task) => !users.includes(task)).map(jobWith),
  }
}

const drawing: readonly Task[] = ['TextToImage', 'ImageToImage', 'Inpaint']
const editing: readonly Task[] = ['ImageToImage', 'Inpaint']
const painting: readonly Task[] = ['Inpaint']

function withLoras(...names: readonly string[]): Manifest {
  const loras = names.map((name) => ({ name }))
  return jobOf('TextToImage', { parameters: { prompt: 'a dent', loras } })
}

const parameters = { prompt: 'a dent', negativePrompt: 'blurred' }

export const generationJobExamples: ExamplesOf<typeof generationJobRules> = {
  '': {
    terminalIsFinal: {
      accepted: [
        statusChange(running, ended('True', 'Completed')),
        statusChange(running, ended('False', 'Cancelled')),
        statusChange(running, {}),
        statusChange(ended('True', 'Completed'), {
          conditions: [{ ...condition, status: 'True', reason: 'Completed', message: 'x' }, other],
        }),
        statusChange({ conditions: [other] }, {}),
        statusChange({}, ended('False', 'InvalidInput')),
      ],
      refused: [
        statusChange(ended('True', 'Completed'), ended('False', 'Completed')),
        statusChange(ended('True', 'Completed'), ended('True', 'Cancelled')),
        statusChange(ended('False', 'Cancelled'), ended('True', 'Cancelled')),
        statusChange(ended('False', 'Cancelled'), running),
        statusChange(ended('False', 'Cancelled'), { conditions: [other] }),
        statusChange(ended('False', 'Cancelled'), { conditions: [] }),
        statusChange(ended('False', 'Cancelled'), {}),
        statusChange(ended('False', 'Cancelled'), undefined),
      ],
    },
  },
  spec: {
    jobIdImmutable: optional('jobId', '01hzzzzzzzzzzzzzzzzzzzzzzzbbbbbbb'),
    ownerImmutable: {
      accepted: job([]).accepted,
      refused: [
        ...job([
          { owner: { ...owner, user: 'lee' } },
          { owner: { ...owner, limits: { runningJobs: 3 } } },
          { owner: { ...owner, limits: undefined } },
          { owner: { department } },
        ]).refused,
        {
          before: jobOf('TextToImage'),
          after: jobOf('TextToImage', { owner: { department: 'assembly' } }),
        },
      ],
    },
    taskImmutable: {
      accepted: job([]).accepted,
      refused: [{ before: jobOf('Upscale'), after: jobOf('RemoveBackground') }],
    },
    modelRefImmutable: job([{ modelRef: { name: 'other' } }]),
    parametersImmutable: job([
      { parameters: { prompt: 'a dent' } },
      { parameters: { ...parameters, loras: [] } },
    ]),
    inputsImmutable: {
      accepted: optional('inputs', []).accepted.slice(0, 2),
      refused: [
        { before: manyInputs, after: withSpec(manyInputs, { inputs: [image, mask] }) },
        { before: manyInputs, after: withSpec(manyInputs, { inputs: [mask, image, reference] }) },
        // An empty list and no list are different things to a strict reader.
        {
          before: jobOf('TextToImage'),
          after: withSpec(jobOf('TextToImage'), { inputs: [] }),
        },
      ],
    },
    executionImmutable: job([{ execution: 'Pooled' }, { execution: undefined }]),
    placementImmutable: optional('placement', { server: 'gpu-2' }),
    cancelIsFinal: {
      accepted: [
        { before: jobOf('TextToImage'), after: jobOf('TextToImage', { cancel: true }) },
        {
          before: jobOf('TextToImage', { cancel: true }),
          after: jobOf('TextToImage', { cancel: true }),
        },
      ],
      refused: [
        {
          before: jobOf('TextToImage', { cancel: true }),
          after: jobOf('TextToImage', { cancel: false }),
        },
        { before: jobOf('TextToImage', { cancel: true }), after: jobOf('TextToImage') },
      ],
    },
    taskNeedsPrompt: {
      accepted: [
        jobOf('TextToImage'),
        jobOf('TextTo3D'),
        jobOf('Inpaint', { parameters: { prompt: '' } }),
        jobOf('Upscale', { parameters: {} }),
      ],
      refused: [
        jobOf('TextToImage', { parameters: {} }),
        jobOf('ImageToImage', { parameters: {} }),
        jobOf('Inpaint', { parameters: { strength: 1 } }),
        jobOf('TextTo3D', { parameters: { seed: 1 } }),
      ],
    },
    textTaskTakesNoInputs: {
      accepted: [jobOf('TextToImage', { inputs: [] }), jobOf('ImageTo3D')],
      refused: [
        jobOf('TextToImage', { inputs: [image] }),
        jobOf('TextTo3D', { inputs: [reference] }),
      ],
    },
    strengthNeedsItsTask: onlyFor(editing, { strength: 0.5 }),
    resizeModeNeedsItsTask: onlyFor(editing, { resizeMode: 'Fill' }),
    maskBlurNeedsItsTask: onlyFor(painting, { maskBlur: 0 }),
    inpaintAreaNeedsItsTask: onlyFor(painting, { inpaintArea: 'Whole' }),
    maskPaddingNeedsItsTask: onlyFor(painting, { maskPadding: 8 }),
    keepUnmaskedPixelsNeedsItsTask: onlyFor(painting, { keepUnmaskedPixels: false }),
    promptSyntaxNeedsItsTask: onlyFor(drawing, { promptSyntax: 'Plain' }),
    promptOverflowNeedsItsTask: onlyFor(drawing, { promptOverflow: 'Chunk' }),
    lorasNeedTheirTask: onlyFor(drawing, { loras: [{ name: 'rust' }] }),
    imageTaskNeedsImage: {
      accepted: [
        jobOf('ImageToImage', { inputs: [image] }),
        jobOf('ImageTo3D', { inputs: [reference, image] }),
      ],
      refused: [
        jobOf('ImageToImage', { inputs: undefined }),
        jobOf('ImageToImage', { inputs: [] }),
        jobOf('Inpaint', { inputs: [mask] }),
        jobOf('Upscale', { inputs: [] }),
        jobOf('Upscale', { inputs: [reference] }),
        jobOf('SuggestPrompt', { inputs: undefined }),
        jobOf('RemoveBackground', { inputs: undefined }),
        jobOf('ImageTo3D', { inputs: undefined }),
      ],
    },
    maskedTaskNeedsMask: {
      accepted: [jobOf('Inpaint', { inputs: [mask, image] }), jobOf('Cleanup')],
      refused: [
        jobOf('Inpaint', { inputs: [image] }),
        jobOf('Cleanup', { inputs: [image, reference] }),
      ],
    },
    oneInputOfEachRole: {
      accepted: [jobOf('Inpaint'), jobOf('ImageTo3D', { inputs: [image, image] })],
      refused: [
        jobOf('ImageToImage', { inputs: [image, image] }),
        jobOf('Inpaint', { inputs: [image, mask, image] }),
        jobOf('Inpaint', { inputs: [mask, image, mask] }),
      ],
    },
    inputsHaveUse: {
      accepted: [jobOf('ImageToImage'), jobOf('Inpaint'), manyInputs],
      refused: [
        jobOf('ImageToImage', { inputs: [image, mask] }),
        jobOf('ImageToImage', { inputs: [reference, image] }),
        jobOf('Inpaint', { inputs: [image, mask, reference] }),
      ],
    },
    importsAreOfOwner: {
      accepted: [manyInputs],
      refused: ['imports/assembly/mask.png', 'imports/vision2/mask.png', 'imports/vision'].map(
        (key) =>
          jobOf('Inpaint', {
            inputs: [image, { ...mask, object: { ...mask.object, key } }],
          }),
      ),
    },
  },
  'spec.owner': {
    limitsNeedUser: {
      accepted: [
        jobOf('TextToImage', {
          owner: { department, user: 'kim', limits: { runningJobs: 1 } },
        }),
        jobOf('TextToImage', { owner: { department, user: 'kim' } }),
      ],
      refused: [jobOf('TextToImage', { owner: { department, limits: { runningJobs: 1 } } })],
    },
  },
  'spec.parameters': {
    lorasDiffer: {
      accepted: [withLoras(), withLoras('rust'), withLoras('rust', 'moss')],
      refused: [withLoras('rust', 'rust'), withLoras('rust', 'moss', 'rust')],
    },
  },
  'spec.inputs[]': {
    exactlyOneSource: {
      accepted: [image, { ...mask, role: 'Image' }, { ...reference, role: 'Image' }].map((only) =>
        jobOf('ImageToImage', { inputs: [only] }),
      ),
      refused: [
        { role: 'Image' },
        { ...mask, ...image },
        { ...reference, ...image },
        { ...reference, ...mask, role: 'Image' },
        { ...reference, ...mask, ...image },
      ].map((input) => jobOf('ImageToImage', { inputs: [input] })),
    },
  },
}
