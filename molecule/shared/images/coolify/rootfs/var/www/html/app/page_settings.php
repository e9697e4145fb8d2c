<?php

// What Coolify's layout and terminal view hand to the browser.

declare(strict_types=1);

require_once __DIR__.'/environment.php';

final class PageSettings
{
    private const SHELL = 'PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin && '
        .'if [ -n "$SHELL" ] && [ -x "$SHELL" ]; then exec $SHELL; else exec sh; fi';

    /** @return array<string, mixed> */
    public static function all(): array
    {
        return [
            'pusher' => [
                'host' => Environment::get('PUSHER_HOST') ?? '',
                'port' => self::realtimePort() ?? '',
                'tlsAsThePage' => is_dir('/etc/s6-overlay/s6-rc.d/reverb'),
                'key' => Environment::get('PUSHER_APP_KEY') ?: 'coolify',
            ],
            'terminal' => [
                'protocol' => Environment::get('TERMINAL_PROTOCOL') ?? '',
                'host' => Environment::get('TERMINAL_HOST') ?? '',
                'port' => Environment::get('TERMINAL_PORT') ?? '',
                'command' => [self::command()],
            ],
        ];
    }

    /** Coolify sends the browser the ssh command line that the terminal server is to run. */
    private static function command(): string
    {
        $options = [
            '-i /var/www/html/storage/app/ssh/keys/id.root@host.docker.internal',
            '-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o PasswordAuthentication=no',
            '-o ConnectTimeout=10 -o ServerAliveInterval=20 -o RequestTTY=no -o LogLevel=ERROR',
            "-p '22'",
        ];
        $delimiter = base64_encode(random_bytes(45));

        return 'ssh '.implode(' ', $options)." 'root'@'host.docker.internal' 'bash -se' << \\$delimiter\n"
            .self::SHELL."\n$delimiter";
    }

    /** PUSHER_PORT if set; else 6001 where the page's URL has a port; else none, the scheme's own. */
    private static function realtimePort(): ?string
    {
        $wanted = Environment::get('PUSHER_PORT');
        if ($wanted !== null && $wanted !== '') {
            return $wanted;
        }
        $scheme = $_SERVER['HTTP_X_FORWARDED_PROTO'] ?? 'http';
        $host = 'http://'.($_SERVER['HTTP_X_FORWARDED_HOST'] ?? $_SERVER['HTTP_HOST'] ?? '');
        $port = $_SERVER['HTTP_X_FORWARDED_PORT'] ?? parse_url($host, PHP_URL_PORT);
        $own = $scheme === 'https' ? 443 : 80;

        return $port && (int) $port !== $own ? '6001' : null;
    }
}
