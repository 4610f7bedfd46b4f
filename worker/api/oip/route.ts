/** Open Inference Protocol v2: health, metadata of server and models, inference. */
import { Hono } from 'hono'
import { AppError } from '#shared/base/errors.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { manifestDigest, type ModelManifest, type ModelTensor } from '#shared/job/model.ts'
import type { AppContext, AppEnv } from '#worker/gate/context.ts'
import { parseOpenBody } from '#worker/body/open-body.ts'
import { BINARY_EXTENSION, joinBody, JSON_LENGTH_HEADER, splitBody } from './oip-binary.ts'
import {
  checkNamed,
  checkWanted,
  decodeInfer,
  encodeInfer,
  InferRequest,
  priceModel,
} from './oip.ts'
import { optionalKey } from '#worker/gate/auth.ts'
import { parseJson } from '#worker/body/parse-json.ts'
import { readBytes } from '#worker/gate/body.ts'
import { inference } from '#worker/gate/inference.ts'
import { answerWith } from '#worker/http/answer.ts'
import { answerProblem } from '#worker/http/problem.ts'
import { readinessOf, readState } from '#worker/api/network/readiness.ts'
import { tellIgnored } from '#worker/body/tell-ignored.ts'
import { countServing, liveHubs } from '#worker/dispatch/live-models.ts'
import { runJob } from '#worker/dispatch/run-job.ts'
import { findManifest } from '#worker/body/find-manifest.ts'

export const VERSION = '0.1.0'

export const oipRoutes = new Hono<AppEnv>()
  .get('/v2', describeServer)
  .get('/v2/', describeServer)
  .get('/v2/health/live', (c) => c.json({ live: true }))
  .get('/v2/health/ready', answerReady)

for (const model of ['/v2/models/:model', '/v2/models/:model/versions/:version']) {
  oipRoutes
    .get(model, optionalKey, describeModel)
    .get(`${model}/ready`, optionalKey, answerModelReady)
    .post(`${model}/infer`, ...inference, infer)
}

function describeServer(c: AppContext): Response {
  return c.json({ name: 'littoral', version: VERSION, extensions: [BINARY_EXTENSION] })
}

/** Answers 200 when every part is ready, else 503; both list the parts. */
async function answerReady(c: AppContext): Promise<Response> {
  const state = await readState(c)
  const readiness = readinessOf(state, c.var.config)
  const nodes = state.hubs.reduce((sum, hub) => sum + hub.nodes, 0)
  const body = { ...readiness, hubs: state.hubs.length, nodes, models: MANIFESTS.length }
  if (readiness.ready) return c.json(body)
  const faults = Object.entries(readiness.parts)
    .filter(([, part]) => !part.ready)
    .map(([name, { detail }]) => `${name}: ${detail}`)
  const problem = answerProblem(new AppError('no_capacity', `Not ready. ${faults.join(' ')}`), c)
  return new Response(JSON.stringify({ ...((await problem.json()) as object), ...body }), problem)
}

function describeModel(c: AppContext): Response {
  const manifest = namedModel(c)
  return c.json({
    name: manifest.id,
    versions: [manifestDigest(manifest)],
    platform: 'onnx_onnxv1',
    inputs: manifest.inputs.map(describeTensor),
    outputs: manifest.outputs.map(describeTensor),
    title: manifest.title,
    task: manifest.task,
    licence: manifest.licence,
    unit: manifest.unit,
    price_micro_usd: manifest.priceMicroUsd,
  })
}

/** The protocol writes -1 for a free size. */
function describeTensor(tensor: ModelTensor) {
  return { ...tensor, shape: tensor.shape.map((size) => (typeof size === 'string' ? -1 : size)) }
}

async function answerModelReady(c: AppContext): Promise<Response> {
  const { id } = namedModel(c)
  const nodes = countServing(await liveHubs(c), id)
  if (nodes === 0) throw new AppError('no_capacity', `No live node serves ${id}.`)
  return c.json({ name: id, ready: true, nodes })
}

async function infer(c: AppContext): Promise<Response> {
  const manifest = namedModel(c)
  const { json, binary } = splitBody(await readBytes(c), c.req.header(JSON_LENGTH_HEADER))
  const request = tellIgnored(c, parseOpenBody(InferRequest, parseJson(json)))
  const digest = manifestDigest(manifest)
  checkNamed(request, { manifest, digest })
  checkWanted(manifest, request.outputs)
  const priced = priceModel(manifest, decodeInfer(manifest, request, binary))
  const job = await runJob(c, priced, request)
  const about = { id: request.id ?? job.jobId, manifest, version: digest }
  const reply = joinBody(encodeInfer(job, about, request))
  return answerWith(c, reply.body, reply.headers)
}

/** The model in the path; its only version is its digest. @throws {AppError} model_not_found */
function namedModel(c: AppContext): ModelManifest {
  const manifest = findManifest(c.req.param('model') ?? '')
  const version = c.req.param('version')
  const digest = manifestDigest(manifest)
  if (version === undefined || version.toLowerCase() === digest) return manifest
  throw new AppError(
    'model_not_found',
    `${manifest.id} has no version "${version.slice(0, 80)}". It has: ${digest}.`,
    { meta: { errors: [{ pointer: '/version', detail: 'no such version' }] } },
  )
}
