// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

// Command control is the lab's tailnet: a control server and one relay, both from Tailscale's own test
// packages, with everything in memory. A node that asks is let in.
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"

	"tailscale.com/derp/derpserver"
	"tailscale.com/tailcfg"
	"tailscale.com/tstest/integration/testcontrol"
	"tailscale.com/types/key"
)

const (
	controlPort = 8080
	relayPort   = 8443
	// Where a node goes that lost its connection and dialled again within two minutes, as at a boot with Docker.
	retryPort = 443
)

func main() {
	name := flag.String("name", "", "name or address under which the nodes reach this machine")
	tailnet := flag.String("tailnet", "tailnet.test", "domain of the tailnet")
	certificate := flag.String("certificate", "", "file with the certificate for that name")
	certificateKey := flag.String("key", "", "file with its key")
	flag.Parse()

	quiet := func(string, ...any) {}
	relay := httptest.NewUnstartedServer(derpserver.Handler(derpserver.New(key.NewNode(), quiet)))
	listener, err := net.Listen("tcp", fmt.Sprintf(":%d", relayPort))
	if err != nil {
		log.Fatal(err)
	}
	relay.Listener.Close()
	relay.Listener = listener
	// A relay connection is upgraded, which HTTP/2 cannot do.
	relay.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	relay.StartTLS()

	control := &testcontrol.Server{
		ExplicitBaseURL: fmt.Sprintf("http://%s:%d", *name, controlPort),
		MagicDNSDomain:  *tailnet,
		// With one, each node may have a certificate for its name: those of the lab's own CA lie where tailscaled keeps its own.
		DNSConfig:        &tailcfg.DNSConfig{},
		AllNodesSameUser: true,
		DERPMap: &tailcfg.DERPMap{Regions: map[int]*tailcfg.DERPRegion{1: {
			RegionID:   1,
			RegionCode: "lab",
			Nodes: []*tailcfg.DERPNode{{
				Name:             "lab",
				RegionID:         1,
				HostName:         *name,
				DERPPort:         relayPort,
				STUNPort:         -1,
				InsecureForTests: true,
			}},
		}}},
	}
	go func() {
		log.Fatal(http.ListenAndServeTLS(fmt.Sprintf(":%d", retryPort), *certificate, *certificateKey, control))
	}()
	log.Fatal(http.ListenAndServe(fmt.Sprintf(":%d", controlPort), control))
}
