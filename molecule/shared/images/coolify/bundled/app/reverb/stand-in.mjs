// Stand-in for Laravel Reverb: a real soketi on a private port, behind Reverb's manners towards whoever asks.

import { spawn } from 'node:child_process';
import http from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { WebSocket, WebSocketServer } from 'ws';

const SOKETI = { host: '127.0.0.1', port: 6101 };
const LARGEST_MESSAGE = 10_000;
const PING_AFTER_MS = 60_000;
const ANSWER_WITHIN_MS = 30_000;
const APP = /^\/app\/[^/]+$/;
const API = /^\/apps\/[^/]+\/./;

const { values } = parseArgs({ options: { host: { type: 'string' }, port: { type: 'string' } } });
const pathOf = (request) => request.url.split('?', 1)[0];

/** Starts soketi with Coolify's one app; this process ends with it, so that both are started again. */
function startSoketi() {
    const { PATH, PUSHER_APP_ID, PUSHER_APP_KEY, PUSHER_APP_SECRET } = process.env;
    const env = {
        PATH,
        // Its process manager writes there.
        HOME: '/tmp',
        SOKETI_HOST: SOKETI.host,
        SOKETI_METRICS_HOST: SOKETI.host,
        SOKETI_PORT: String(SOKETI.port),
        SOKETI_DEFAULT_APP_ID: PUSHER_APP_ID || 'coolify',
        SOKETI_DEFAULT_APP_KEY: PUSHER_APP_KEY || 'coolify',
        SOKETI_DEFAULT_APP_SECRET: PUSHER_APP_SECRET || 'coolify',
    };
    const soketi = spawn('node', ['/app/node_modules/@soketi/soketi/bin/server.js', 'start'], { env, stdio: 'inherit' });
    soketi.on('exit', () => process.exit(1));
    process.on('exit', () => soketi.kill());
    process.on('SIGTERM', () => process.exit(0));
}

function askSoketi(request, answer) {
    const { method, url: path, headers } = request;
    return http.request({ ...SOKETI, method, path, headers }, answer);
}

async function soketiIsReady() {
    const request = { method: 'GET', url: '/ready', headers: {} };
    const asked = () => new Promise((resolve) => {
        askSoketi(request, (response) => resolve(response.resume().statusCode === 200))
            .on('error', () => resolve(false))
            .end();
    });
    while (!await asked()) {
        await sleep(200);
    }
}

function reply(response, status, body = '') {
    response.writeHead(status, { 'Content-Type': body ? 'application/json' : 'text/plain' });
    response.end(body);
}

/** Returns the status as Reverb gives it: soketi may name it in the body alone. */
function statusOf(answered, body) {
    try {
        return JSON.parse(body).code ?? answered.statusCode;
    } catch {
        return answered.statusCode;
    }
}

function answer(request, response) {
    const path = pathOf(request);
    if (path === '/up') {
        reply(response, 200, '{"health":"OK"}');
    } else if (APP.test(path)) {
        // Reverb takes it for a handshake, and fails on what is missing.
        reply(response, 500);
    } else if (!API.test(path)) {
        reply(response, 404);
    } else if (Number(request.headers['content-length'] ?? 0) > LARGEST_MESSAGE) {
        reply(response, 413);
    } else {
        const asked = askSoketi(request, async (answered) => {
            const body = await text(answered);
            reply(response, statusOf(answered, body), body);
        });
        asked.on('error', (failure) => {
            console.error(`asking soketi failed: ${failure.message}`);
            response.headersSent ? response.destroy() : reply(response, 500);
        });
        request.pipe(asked);
    }
}

/** Asks a silent client for a sign of life, and ends it where none comes. */
function watchSilence(client) {
    let timer;
    const alive = () => {
        clearTimeout(timer);
        timer = setTimeout(() => {
            client.send(JSON.stringify({ event: 'pusher:ping' }));
            timer = setTimeout(() => {
                const data = JSON.stringify({ code: 4201, message: 'Pong reply not received in time' });
                client.send(JSON.stringify({ event: 'pusher:error', data }));
                client.close(4201);
            }, ANSWER_WITHIN_MS);
        }, PING_AFTER_MS);
    };
    ['message', 'ping', 'pong'].forEach((sign) => client.on(sign, alive));
    client.on('close', () => clearTimeout(timer));
    alive();
}

/** Carries messages between a client, whose upgrade is done, and soketi, which looks at its key. */
function relay(client, request) {
    const { host, port } = SOKETI;
    const soketi = new WebSocket(`ws://${host}:${port}${request.url}`, { perMessageDeflate: false });
    const early = [];
    client.on('message', (data, binary) => {
        soketi.readyState === WebSocket.OPEN ? soketi.send(data, { binary }) : early.push([data, { binary }]);
    });
    client.on('close', () => soketi.terminate());
    client.on('error', (failure) => console.error(failure.message));
    soketi.on('open', () => early.forEach((message) => soketi.send(...message)));
    soketi.on('message', (data, binary) => client.send(data, { binary }));
    soketi.on('close', (code) => client.close(code >= 4000 ? code : 1000));
    soketi.on('error', () => client.close(1011));
    watchSilence(client);
}

startSoketi();
await soketiIsReady();
const server = http.createServer(answer);
const sockets = new WebSocketServer({ noServer: true, maxPayload: LARGEST_MESSAGE });
server.on('upgrade', (request, socket, head) => {
    if (APP.test(pathOf(request))) {
        sockets.handleUpgrade(request, socket, head, relay);
    } else {
        socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    }
});
server.listen(Number(values.port), values.host, () => {
    console.log(`Reverb (stand-in, soketi behind it) listens on ${values.host}:${values.port}`);
});
