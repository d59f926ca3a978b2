// A real OpenID Connect provider on 127.0.0.1, as its makers ship it. Settings come as JSON in OIDC_TEST:
// {redirects: [...], people: {subject: {preferred_username, name, groups}}}. Prints its address once it listens.
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const given = JSON.parse(process.env.OIDC_TEST);
const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'clew',
        client_secret: given.secret,
        redirect_uris: given.redirects,
        grant_types: ['authorization_code'],
        response_types: ['code'],
      },
    ],
    pkce: { required: () => true },
    claims: { openid: ['sub'], profile: ['preferred_username', 'name', 'groups'] },
    scopes: ['openid', 'profile'],
    cookies: { keys: ['only for tests'] },
    findAccount: (_ctx, sub) =>
      given.people[sub] && { accountId: sub, claims: async () => ({ sub, ...given.people[sub] }) },
  });
  server.on('request', provider.callback());
  console.log(issuer);
});
