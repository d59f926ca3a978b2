// PostGraphile v5: Amber preset with simplified names, every column filterable by equality.
import { PgSimplifyInflectionPreset } from "@graphile/simplify-inflection";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { makePgService } from "postgraphile/adaptors/pg";

const EveryColumnFilterable = {
  name: "EveryColumnFilterablePlugin",
  version: "1.0.0",
  schema: { entityBehavior: { pgCodecAttribute: "attribute:filterBy attribute:orderBy" } },
};

export default {
  extends: [PostGraphileAmberPreset, PgSimplifyInflectionPreset],
  plugins: [EveryColumnFilterable],
  pgServices: [
    makePgService({ connectionString: process.env.BENCH_DATABASE_URL, schemas: ["public"], poolConfig: { max: 16 } }),
  ],
  grafserv: { port: Number(process.env.BENCH_PORT), host: "127.0.0.1", graphiql: false, watch: false },
  grafast: { explain: false },
};
