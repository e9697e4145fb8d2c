<?php

// Who opens the page is signed in; what matters is that the cookies are the ones the terminal server asks for, and that
// others are refused.

declare(strict_types=1);

require_once __DIR__.'/environment.php';

final class Session
{
    private const TOKEN = 'XSRF-TOKEN';

    public static function cookieName(): string
    {
        $name = Environment::get('APP_NAME') ?: 'laravel';

        return strtolower(preg_replace('/[^a-zA-Z0-9]/', '_', $name)).'_session';
    }

    /** Sends both cookies, unless the browser has valid ones. */
    public static function start(): void
    {
        $session = $_COOKIE[self::cookieName()] ?? '';
        if (! self::isOurs($session)) {
            $id = bin2hex(random_bytes(16));
            $session = $id.'.'.self::sign('session', $id);
        }
        $options = ['path' => '/', 'samesite' => 'Lax'];
        setcookie(self::cookieName(), $session, $options + ['httponly' => true]);
        setcookie(self::TOKEN, self::sign('token', $session), $options);
    }

    /** Says whether the request carries a session and the token that belongs to it, as a header or as a cookie. */
    public static function isValid(): bool
    {
        $session = $_COOKIE[self::cookieName()] ?? '';
        $token = $_SERVER['HTTP_X_XSRF_TOKEN'] ?? $_COOKIE[self::TOKEN] ?? '';

        return self::isOurs($session) && hash_equals(self::sign('token', $session), $token);
    }

    private static function isOurs(string $session): bool
    {
        [$id, $signature] = explode('.', $session, 2) + ['', ''];

        return $id !== '' && hash_equals(self::sign('session', $id), $signature);
    }

    private static function sign(string $purpose, string $text): string
    {
        return hash_hmac('sha256', "$purpose:$text", (string) Environment::get('APP_KEY'));
    }
}
