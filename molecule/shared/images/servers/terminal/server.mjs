// Stand-in for Coolify's terminal server: JSON messages in, the terminal's plain text out, a real ssh in between.

import http from 'node:http';
import pty from '@lydell/node-pty';
import { parse as parseCookies } from 'cookie';
import { WebSocketServer } from 'ws';
import { parseSshCommand } from './ssh-command.mjs';

const PORT = 6002;
// In the container of Coolify itself; there a refusal comes after the upgrade.
const BUNDLED = process.argv.includes('--bundled');
const PING_EVERY_MS = 30_000;
const COOLIFY = { hostname: BUNDLED ? '127.0.0.1' : 'coolify', port: 8080, method: 'POST', timeout: 10_000 };
const SESSION = `${(process.env.APP_NAME || 'laravel').replace(/[^a-zA-Z0-9]/g, '_').toLowerCase()}_session`;

/** Returns the headers that make Coolify know the browser's session, null where a cookie is missing. */
function credentials(request) {
    const cookies = parseCookies(request.headers.cookie ?? '');
    const token = cookies['XSRF-TOKEN'];
    const session = cookies[SESSION];
    return token && session ? { Cookie: `${SESSION}=${session}`, 'X-XSRF-TOKEN': token } : null;
}

function askCoolify(path, headers) {
    return new Promise((resolve, reject) => {
        const request = http.request({ ...COOLIFY, path, headers }, (response) => {
            let body = '';
            response.setEncoding('utf8');
            response.on('data', (chunk) => { body += chunk; });
            response.on('end', () => resolve({ status: response.statusCode, body }));
        });
        request.on('timeout', () => request.destroy(new Error('no answer from Coolify')));
        request.on('error', reject);
        request.end();
    });
}

/** Returns the close code for who may not have a terminal, null for who may. */
async function refusal(request) {
    const headers = credentials(request);
    if (!headers) {
        return 4401;
    }
    try {
        const { status } = await askCoolify('/terminal/auth', headers);
        return status === 200 ? null : 4403;
    } catch (failure) {
        console.error(`asking coolify failed: ${failure.message}`);
        return 1011;
    }
}

async function verifyClient({ req }, answer) {
    const code = await refusal(req);
    if (code === null) {
        return answer(true);
    }
    return code === 1011 ? answer(false, 500, 'Internal Server Error') : answer(false, 401, 'Unauthorized');
}

/** One browser's terminal: at most one ssh at a time, ended with the socket. */
class Terminal {
    constructor(socket, hosts) {
        this.socket = socket;
        this.hosts = hosts;
        this.shell = null;
    }

    receive(text) {
        let message;
        try {
            message = JSON.parse(text);
        } catch {
            return;
        }
        for (const [kind, value] of Object.entries(message ?? {})) {
            this.handle(kind, value);
        }
    }

    handle(kind, value) {
        if (kind === 'ping') {
            this.socket.send('pong');
        } else if (kind === 'checkActive') {
            value === 'force' ? this.end() : this.socket.send(String(this.shell !== null));
        } else if (kind === 'command') {
            this.start(String(Array.isArray(value) ? value[0] : value));
        } else if (this.shell && kind === 'message') {
            this.shell.write(String(value));
        } else if (this.shell && kind === 'resize') {
            this.shell.resize(value?.cols > 0 ? value.cols : 80, value?.rows > 0 ? value.rows : 30);
        } else if (this.shell && (kind === 'pause' || kind === 'resume')) {
            this.shell[kind]();
        }
    }

    start(text) {
        this.end();
        const ssh = parseSshCommand(text);
        if (!ssh) {
            this.socket.send('Invalid SSH command: No target host found');
            return;
        }
        if (!this.hosts.includes(ssh.host)) {
            this.socket.send(`Unauthorized: Target host ${ssh.host} not in authorized list`);
            return;
        }
        const shell = pty.spawn('ssh', ssh.args, { name: 'xterm-color', cols: 80, rows: 30, env: {} });
        this.shell = shell;
        this.socket.send('pty-ready');
        shell.onData((data) => this.socket.send(data));
        shell.onExit(() => {
            if (this.shell === shell) {
                this.shell = null;
                this.socket.send('pty-exited');
            }
        });
    }

    end() {
        const shell = this.shell;
        this.shell = null;
        shell?.kill();
    }
}

const server = http.createServer((request, response) => {
    const ready = request.url === '/ready';
    response.writeHead(ready ? 200 : 404, { 'Content-Type': 'text/plain' });
    response.end(ready ? 'OK' : 'Not Found');
});

/** Asks Coolify what a connected browser may open: the hosts, or the code to close with. */
async function opened(request) {
    const code = BUNDLED ? await refusal(request) : null;
    if (code !== null) {
        return { code };
    }
    try {
        const { status, body } = await askCoolify('/terminal/auth/ips', credentials(request));
        if (status === 200) {
            return { hosts: JSON.parse(body).ipAddresses.map((host) => host.toLowerCase()) };
        }
        console.error(`/terminal/auth/ips answered ${status}`);
    } catch (failure) {
        console.error(`asking coolify failed: ${failure.message}`);
    }
    return { code: 1011 };
}

const sockets = new WebSocketServer({ server, path: '/terminal/ws', ...(BUNDLED ? {} : { verifyClient }) });

sockets.on('connection', (socket, request) => {
    socket.alive = true;
    socket.on('pong', () => { socket.alive = true; });
    // What the browser sends before Coolify has answered waits for the terminal.
    const terminal = opened(request).then(({ hosts, code }) => {
        if (code) {
            socket.close(code);
        }
        return code ? null : new Terminal(socket, hosts);
    });
    const then = (action) => terminal.then((one) => one && action(one));
    socket.on('message', (data) => then((one) => one.receive(data.toString())));
    socket.on('close', () => then((one) => one.end()));
    socket.on('error', (failure) => console.error(failure.message));
});

setInterval(() => {
    for (const socket of sockets.clients) {
        if (!socket.alive) {
            socket.terminate();
            continue;
        }
        socket.alive = false;
        socket.ping();
    }
}, PING_EVERY_MS);

process.on('SIGTERM', () => process.exit(0));
server.listen(PORT, '0.0.0.0', () => console.log(`terminal server (stand-in) listens on ${PORT}`));
