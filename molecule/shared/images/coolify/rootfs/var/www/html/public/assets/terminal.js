// The terminal as Coolify's front end opens it: address from the page's URL unless the settings override it.
(() => {
    const settings = JSON.parse(document.getElementById('settings').textContent).terminal;
    const state = document.getElementById('terminal-state');
    const show = (name, text = name) => {
        state.dataset.state = name;
        state.textContent = text;
    };

    const protocol = settings.protocol || (location.protocol === 'https:' ? 'wss' : 'ws');
    const port = settings.port ? `:${settings.port}` : location.port ? ':6002' : '';
    const url = `${protocol}://${settings.host || location.hostname}${port}/terminal/ws`;
    document.getElementById('terminal-url').textContent = url;

    const terminal = new Terminal({ rows: 18, convertEol: false });
    const fit = new FitAddon.FitAddon();
    terminal.loadAddon(fit);
    terminal.open(document.getElementById('terminal'));

    let attempts = 0;
    const connect = () => {
        const socket = new WebSocket(url);
        const send = (message) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(message));
        const listeners = [
            terminal.onData((data) => send({ message: data })),
            terminal.onResize(({ cols, rows }) => send({ resize: { cols, rows } })),
        ];
        let heartbeat;
        socket.onopen = () => {
            attempts = 0;
            send({ command: settings.command });
            heartbeat = setInterval(() => send({ ping: true }), 30000);
        };
        socket.onmessage = ({ data }) => {
            if (data === 'pong') {
                return;
            }
            if (data === 'pty-ready') {
                show('connected');
                fit.fit();
                send({ resize: { cols: terminal.cols, rows: terminal.rows } });
                terminal.focus();
            } else if (data === 'pty-exited') {
                show('disconnected', 'the shell has ended');
            } else {
                terminal.write(data);
            }
        };
        socket.onclose = ({ code }) => {
            clearInterval(heartbeat);
            listeners.forEach((listener) => listener.dispose());
            show('disconnected', `disconnected (${code})`);
            attempts += 1;
            if (attempts <= 10) {
                setTimeout(connect, Math.min(1000 * 2 ** (attempts - 1), 30000));
            }
        };
    };
    window.addEventListener('resize', () => fit.fit());
    connect();
})();
