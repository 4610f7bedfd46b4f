/** Open Inference Protocol v2: health, model metadata, inference. */
import { Hono } from 'hono'
import { AppError } from '#shared/errors.ts'
import { MANIFESTS } from '#shared/manifests.ts'
import { manifestDigest } from '#shared/model.ts'
import { countUnits } from '#shared/tensor.ts'
import type { AppContext, AppEnv } from '../context.ts'
import { parseBody } from '../formats/faults.ts'
import { checkWanted, decodeInfer, encodeInfer, InferRequest } from '../formats/oip.ts'
import { optionalKey } from '../middleware/auth.ts'
import { readJson } from '../middleware/body.ts'
import { inference } from '../middleware/inference.ts'
import { countServing, findManifest, liveHubs } from './models.ts'
import { runJob } from './run-job.ts'

export const VERSION = '0.1.0'

export const oipRoutes = new Hono<AppEnv>()
  .get('/v2', (c) => c.json({ name: 'littoral', version: VERSION, extensions: [] }))
  .get('/v2/health/live', (c) => c.json({ live: true }))
  .get('/v2/health/ready', answerReady)
  .get('/v2/models/:model', optionalKey, describeModel)
  .get('/v2/models/:model/ready', optionalKey, answerModelReady)
  .post('/v2/models/:model/infer', ...inference, infer)

/** Ready once a hub answers; how many nodes there are is the models' affair. */
async function answerReady(c: AppContext): Promise<Response> {
  const hubs = await liveHubs(c)
  if (hubs.length === 0) throw new AppError('no_capacity', 'No hub answers.')
  const nodes = hubs.reduce((sum, { status }) => sum + status.nodes.length, 0)
  return c.json({ ready: true, hubs: hubs.length, nodes, models: MANIFESTS.length })
}

function describeModel(c: AppContext): Response {
  const manifest = findManifest(c.req.param('model') ?? '')
  return c.json({
    name: manifest.id,
    versions: [manifestDigest(manifest)],
    platform: 'onnx_onnxv1',
    inputs: manifest.inputs,
    outputs: manifest.outputs,
    title: manifest.title,
    task: manifest.task,
    licence: manifest.licence,
    unit: manifest.unit,
    price_micro_usd: manifest.priceMicroUsd,
  })
}

async function answerModelReady(c: AppContext): Promise<Response> {
  const { id } = findManifest(c.req.param('model') ?? '')
  const nodes = countServing(await liveHubs(c), id)
  if (nodes === 0) throw new AppError('no_capacity', `No live node serves ${id}.`)
  return c.json({ name: id, ready: true, nodes })
}

async function infer(c: AppContext): Promise<Response> {
  const manifest = findManifest(c.req.param('model') ?? '')
  const request = parseBody(InferRequest, await readJson(c.req.raw))
  checkWanted(manifest, request.outputs)
  const { headers, payload } = decodeInfer(manifest, request)
  const digest = manifestDigest(manifest)
  const {
    outcome,
    payload: bytes,
    jobId,
  } = await runJob(
    c,
    {
      work: { kind: 'model', model: manifest.id, digest, inputs: headers },
      payload,
      units: countUnits(manifest, headers),
      priceMicroUsd: manifest.priceMicroUsd,
    },
    request,
  )
  const answer = { outputs: outcome.answer.outputs, payload: bytes }
  const about = { id: request.id ?? jobId, manifest, version: digest }
  return c.json(encodeInfer(answer, about, request.outputs))
}
