<?php

// Publishes an event by Pusher's HTTP API, with the settings Coolify's backend uses for it (not the browser's ones).

declare(strict_types=1);

require_once __DIR__.'/environment.php';

final class Broadcast
{
    /**
     * Publishes one event.
     *
     * @throws RuntimeException the realtime server cannot be reached or refuses; the message names the address used.
     */
    public static function publish(string $channel, string $event, string $data): void
    {
        $pusher = (require dirname(__DIR__).'/config/broadcasting.php')['connections']['pusher'];
        ['host' => $host, 'port' => $port, 'scheme' => $scheme] = $pusher['options'];
        ['app_id' => $app, 'key' => $key, 'secret' => $secret] = $pusher;

        $path = '/apps/'.rawurlencode($app).'/events';
        $body = json_encode(['name' => $event, 'channels' => [$channel], 'data' => $data], JSON_THROW_ON_ERROR);
        $query = http_build_query([
            'auth_key' => $key,
            'auth_timestamp' => time(),
            'auth_version' => '1.0',
            'body_md5' => md5($body),
        ]);
        $signature = hash_hmac('sha256', "POST\n$path\n$query", $secret);

        $address = "$scheme://$host:$port";
        $request = curl_init("$address$path?$query&auth_signature=$signature");
        curl_setopt_array($request, [
            CURLOPT_POST => true,
            CURLOPT_POSTFIELDS => $body,
            CURLOPT_HTTPHEADER => ['Content-Type: application/json'],
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_TIMEOUT => 10,
        ]);
        $answer = curl_exec($request);
        $status = curl_getinfo($request, CURLINFO_RESPONSE_CODE);
        if ($answer === false) {
            throw new RuntimeException("$address: ".curl_error($request));
        }
        if ($status !== 200) {
            throw new RuntimeException("$address answered $status: ".substr(trim((string) $answer), 0, 200));
        }
        // What the realtime server takes it answers with JSON; a page with status 200 is somebody else.
        if (json_decode((string) $answer) === null) {
            throw new RuntimeException("$address answered 200, but not as a Pusher server");
        }
    }
}
