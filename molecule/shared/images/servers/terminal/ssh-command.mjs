// Reads the ssh command line that the front end sends, and builds a new one from the parts that are allowed.

const KEYS = '/var/www/html/storage/app/ssh/keys/';
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.:-]*$/;

/**
 * Returns the arguments for ssh and the host they lead to.
 * Nothing of the text reaches a local shell, and no option of it reaches ssh but port and key.
 * @param {string} text ssh OPTIONS 'user'@'host' 'bash -se' << \DELIMITER, the remote command, DELIMITER
 * @returns {{host: string, args: string[]} | null} null where the text has not this form
 */
export function parseSshCommand(text) {
    const call = /(?:^|\s)ssh\s+(.*?)\s'bash -se' << \\(\S+)\s([\s\S]*)$/.exec(text);
    if (!call) {
        return null;
    }
    const [, options, delimiter, rest] = call;
    const end = rest.lastIndexOf(delimiter);
    const words = options.split(/\s+/).map((word) => word.replace(/['"]/g, ''));
    const target = words.at(-1);
    const at = target.lastIndexOf('@');
    const [user, host] = [target.slice(0, at), target.slice(at + 1).replace(/^\[(.*)\]$/, '$1').toLowerCase()];
    if (end < 0 || at < 1 || !NAME.test(user) || !NAME.test(host)) {
        return null;
    }

    const value = (option) => words[words.indexOf(option) + 1];
    const key = words.includes('-i') ? value('-i') : '';
    const port = words.includes('-p') ? value('-p') : '22';
    if (!/^\d{1,5}$/.test(port) || !key.startsWith(KEYS) || key.includes('..')) {
        return null;
    }
    const settings = [
        'StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'PasswordAuthentication=no',
        'ConnectTimeout=10', 'ServerAliveInterval=20', 'RequestTTY=yes', 'LogLevel=ERROR',
    ];
    const args = ['-i', key, '-p', port, ...settings.flatMap((setting) => ['-o', setting]), '-l', user, '--', host];
    return { host, args: [...args, rest.slice(0, end).trim()] };
}
