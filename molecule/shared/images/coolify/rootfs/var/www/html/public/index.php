<?php

// Stand-in for Coolify's application: the routes that a browser, the terminal server and the tests ask for.

declare(strict_types=1);

$app = dirname(__DIR__).'/app';
require_once "$app/session.php";
require_once "$app/page_settings.php";
require_once "$app/broadcast.php";

function json(array $data, int $status = 200): void
{
    http_response_code($status);
    header('Content-Type: application/json');
    echo json_encode($data);
}

function text(string $text, int $status = 200): void
{
    http_response_code($status);
    header('Content-Type: text/plain; charset=utf-8');
    echo $text."\n";
}

$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) ?: '/';
$isPost = $_SERVER['REQUEST_METHOD'] === 'POST';

if ($path === '/api/health') {
    text('OK');
} elseif ($path === '/api/v1/applications') {
    json(['applications' => [], 'answered_by' => 'Coolify (stand-in)']);
} elseif ($path === '/terminal/auth' && $isPost) {
    Session::isValid() ? json(['authenticated' => true]) : json(['authenticated' => false], 401);
} elseif ($path === '/terminal/auth/ips' && $isPost) {
    Session::isValid() ? json(['ipAddresses' => ['host.docker.internal']]) : json(['ipAddresses' => []], 401);
} elseif ($path === '/lab/broadcast' && $isPost) {
    if (! Session::isValid()) {
        text('no session', 401);
    } else {
        try {
            Broadcast::publish('lab', 'message', (string) ($_POST['data'] ?? 'hello'));
            text('published');
        } catch (RuntimeException $failure) {
            text($failure->getMessage(), 502);
        }
    }
} elseif ($path === '/lab/settings') {
    Session::isValid() ? json(PageSettings::all()) : text('no session', 401);
} elseif ($path === '/' || $path === '/terminal') {
    Session::start();
    header('Cache-Control: no-store');
    $settings = PageSettings::all();
    require "$app/page.php";
} elseif (preg_match('#^/project/[^/]+/environment/[^/]+/application/[^/]+$#', $path)) {
    text("Application page of Coolify (stand-in): $path");
} else {
    // Coolify sends every path it does not know to its start page.
    header('Location: /', true, 302);
}
