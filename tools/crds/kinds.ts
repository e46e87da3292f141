import type { z } from 'zod'
import {
  departmentRules,
  departmentSpec,
  departmentStatus,
} from '../../src/shared/crd/department.ts'
import { generationJobRules } from '../../src/shared/crd/generation-job-rules.ts'
import { generationJobSpec, generationJobStatus } from '../../src/shared/crd/generation-job.ts'
import { modelPoolRules, modelPoolSpec, modelPoolStatus } from '../../src/shared/crd/model-pool.ts'
import { modelRules } from '../../src/shared/crd/model-rules.ts'
import { type ModelSpec, modelSpec, modelStatus } from '../../src/shared/crd/model.ts'
import type { RulesByPlace } from '../../src/shared/crd/rules.ts'

/** One column of `kubectl get`; those of priority 1 show with `-o wide` only. */
export type Column = {
  readonly name: string
  readonly type: 'string' | 'integer' | 'date'
  readonly jsonPath: string
  readonly priority?: 1
}

/** Everything the generator needs to write one custom resource definition. */
export type Kind = {
  readonly kind: string
  readonly plural: string
  readonly shortName: string
  readonly scope: 'Namespaced' | 'Cluster'
  readonly description: string
  readonly spec: z.ZodType
  readonly status: z.ZodType
  readonly rules: RulesByPlace
  /** By place: `set` refuses duplicates, a key makes the list a map; others are atomic. */
  readonly lists: Readonly<Record<string, 'set' | { readonly key: string }>>
  readonly columns: readonly Column[]
  /** Fields that `--field-selector` may name. */
  readonly selectable: readonly string[]
  /** Serves `/scale`, for `kubectl scale` and autoscalers. */
  readonly scale?: {
    readonly specReplicasPath: string
    readonly statusReplicasPath: string
    readonly labelSelectorPath: string
  }
}

/** Picked by type, never by place: a list of conditions has no order. */
function conditionColumn(name: string, type: string, field: 'status' | 'reason'): Column {
  return { name, type: 'string', jsonPath: `.status.conditions[?(@.type=="${type}")].${field}` }
}

function specColumn(name: string, field: string): Column {
  return { name, type: 'string', jsonPath: `.spec.${field}` }
}

function priceColumn(name: string, rate: keyof ModelSpec['price']): Column {
  return { name, type: 'integer', jsonPath: `.spec.price.${rate}` }
}

function wide(column: Column): Column {
  return { ...column, priority: 1 }
}

const age: Column = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' }

const generationJob: Kind = {
  kind: 'GenerationJob',
  plural: 'generationjobs',
  shortName: 'genjob',
  scope: 'Namespaced',
  description: 'One request for pictures, masks, text or a 3D object.',
  spec: generationJobSpec,
  status: generationJobStatus,
  rules: generationJobRules,
  lists: { 'status.conditions': { key: 'type' } },
  columns: [
    specColumn('Task', 'task'),
    specColumn('Model', 'modelRef.name'),
    specColumn('Department', 'owner.department'),
    { name: 'Done', type: 'string', jsonPath: '.status.summary' },
    conditionColumn('Admitted', 'Admitted', 'reason'),
    conditionColumn('Status', 'Succeeded', 'reason'),
    wide(conditionColumn('Succeeded', 'Succeeded', 'status')),
    wide(conditionColumn('Credits', 'CreditsReserved', 'reason')),
    wide(conditionColumn('Model-Ready', 'ModelReady', 'reason')),
    wide(conditionColumn('Pods', 'PodsReady', 'reason')),
    wide({ name: 'Attempt', type: 'integer', jsonPath: '.status.attempt.number' }),
    wide({ name: 'Node', type: 'string', jsonPath: '.status.attempt.nodeName' }),
    wide(specColumn('User', 'owner.user')),
    wide({ name: 'Started', type: 'date', jsonPath: '.status.startTime' }),
    wide({ name: 'Ended', type: 'date', jsonPath: '.status.completionTime' }),
    age,
  ],
  selectable: ['.spec.owner.department', '.spec.owner.user', '.spec.modelRef.name', '.spec.task'],
}

const model: Kind = {
  kind: 'Model',
  plural: 'models',
  shortName: 'atmodel',
  scope: 'Cluster',
  description: 'A base model: where its weights are, what it can do and what it costs.',
  spec: modelSpec,
  status: modelStatus,
  rules: modelRules,
  lists: {
    'spec.tasks': 'set',
    'spec.runsOn': 'set',
    'spec.departments': 'set',
    'status.conditions': { key: 'type' },
  },
  columns: [
    specColumn('Family', 'family'),
    specColumn('Tasks', 'tasks'),
    specColumn('Delivery', 'delivery.type'),
    specColumn('Visibility', 'visibility'),
    conditionColumn('Ready', 'Ready', 'status'),
    wide(conditionColumn('Reason', 'Ready', 'reason')),
    wide(priceColumn('Image-Price', 'perImageMicroCredits')),
    wide(priceColumn('Step-Price', 'perMegapixelStepMicroCredits')),
    wide({ name: 'GPUs', type: 'integer', jsonPath: '.spec.resources.gpus' }),
    wide(specColumn('Memory', 'resources.memory')),
    wide(specColumn('Licence', 'licence')),
    wide(specColumn('Digest', 'digest')),
    age,
  ],
  selectable: ['.spec.family', '.spec.visibility'],
}

const department: Kind = {
  kind: 'Department',
  plural: 'departments',
  shortName: 'atdept',
  scope: 'Cluster',
  description: 'Scheduling side of a department: its weight, caps and namespace.',
  spec: departmentSpec,
  status: departmentStatus,
  rules: departmentRules,
  lists: { 'status.conditions': { key: 'type' } },
  columns: [
    { name: 'Weight', type: 'integer', jsonPath: '.spec.weight' },
    specColumn('Namespace', 'namespace'),
    { name: 'Running-Max', type: 'integer', jsonPath: '.spec.limits.runningJobs' },
    conditionColumn('Ready', 'Ready', 'status'),
    wide(specColumn('Name-For-People', 'displayName')),
    wide(specColumn('Managed-By', 'managedBy')),
    wide(conditionColumn('Reason', 'Ready', 'reason')),
    age,
  ],
  selectable: ['.spec.namespace'],
}

const modelPool: Kind = {
  kind: 'ModelPool',
  plural: 'modelpools',
  shortName: 'atpool',
  scope: 'Namespaced',
  description: 'Warm pods for some models, which take jobs without the time to start.',
  spec: modelPoolSpec,
  status: modelPoolStatus,
  rules: modelPoolRules,
  lists: {
    'spec.models': { key: 'name' },
    'spec.gpu.products': 'set',
    'status.conditions': { key: 'type' },
  },
  columns: [
    specColumn('Models', 'models'),
    { name: 'Min', type: 'integer', jsonPath: '.spec.minReplicas' },
    { name: 'Max', type: 'integer', jsonPath: '.spec.maxReplicas' },
    { name: 'Pods', type: 'integer', jsonPath: '.status.replicas' },
    { name: 'Ready', type: 'integer', jsonPath: '.status.readyReplicas' },
    conditionColumn('Status', 'Ready', 'reason'),
    wide(conditionColumn('Usable', 'Ready', 'status')),
    wide({ name: 'Replicas', type: 'integer', jsonPath: '.spec.replicas' }),
    wide({ name: 'Slots', type: 'integer', jsonPath: '.spec.slots' }),
    wide({ name: 'GPUs', type: 'integer', jsonPath: '.spec.gpu.count' }),
    wide(specColumn('Sharing', 'gpu.sharing')),
    wide({ name: 'Idle-Seconds', type: 'integer', jsonPath: '.spec.idleSeconds' }),
    age,
  ],
  selectable: [],
  scale: {
    specReplicasPath: '.spec.replicas',
    statusReplicasPath: '.status.replicas',
    labelSelectorPath: '.status.selector',
  },
}

export const kinds: readonly Kind[] = [generationJob, model, department, modelPool]
