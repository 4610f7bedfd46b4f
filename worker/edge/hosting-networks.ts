/**
 * Networks whose addresses do not reveal where a machine or its user is: clouds, hosting companies
 * and VPN carriers. Each number is one under which the company is commonly known to announce its
 * own addresses. PeeringDB (https://www.peeringdb.com) and the regional registries say more;
 * entries were not verified one by one. The list is incomplete: small hosting companies, VPNs over
 * home lines and leased address blocks are missing. See `docs/design/place.md`.
 */

/** The date of the list, included in every record that was concluded with it. */
export const HOSTING_LIST_VERSION = 20_261_101

const NETWORKS: Readonly<Record<string, readonly number[]>> = {
  amazon: [16509, 14618, 8987],
  google: [15169, 396982, 19527],
  microsoft: [8075, 8068, 8069, 12076],
  oracle: [31898],
  ibm: [36351],
  alibaba: [45102, 37963],
  tencent: [132203, 45090],
  huawei: [136907, 55990],
  cloudflare: [13335, 209242],
  akamai: [63949, 20940, 36183],
  fastly: [54113],
  digitalocean: [14061, 62567],
  hetzner: [24940, 213230, 212317],
  ovh: [16276, 35540],
  vultr: [20473],
  scaleway: [12876],
  contabo: [51167, 40021, 141995],
  leaseweb: [60781, 28753, 30633, 7203, 395954, 133752, 59253, 205544],
  m247: [9009, 16247],
  datacamp: [60068, 212238],
  ionos: [8560],
  strato: [6724],
  netcup: [197540],
  upcloud: [202053],
  exoscale: [61098],
  infomaniak: [29222],
  gandi: [29169, 203476],
  aruba: [31034],
  hostinger: [47583],
  godaddy: [26496, 398101, 20773],
  namecheap: [22612],
  liquidWeb: [32244],
  dreamhost: [26347],
  rackspace: [33070, 27357, 19994, 15395],
  equinixMetal: [54825],
  serversCom: [7979],
  gcore: [199524],
  selectel: [49505],
  timeweb: [9123],
  quadranet: [8100],
  psychz: [40676],
  colocrossing: [36352],
  frantech: [53667],
  clouvider: [62240],
  zenlayer: [21859],
  hostRoyale: [203020],
  performive: [46562],
  worldstream: [49981],
  nforce: [43350],
  serverius: [50673],
  interserver: [19318],
  hurricaneElectric: [6939],
  fly: [40509],
  tzulo: [11878],
  mullvad: [39351],
  proton: [62371, 209103, 199218],
  packethub: [136787, 207137, 147049],
  privateLayer: [51852],
  flokinet: [200651],
}

const NUMBERS: ReadonlySet<number> = new Set(Object.values(NETWORKS).flat())

export function isHostingNetwork(asn: number): boolean {
  return NUMBERS.has(asn)
}
