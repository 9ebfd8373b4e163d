// A TURN server on pion/turn with one static user, for comparison in the benchmarks.
//
// usage: pion <address> <port> <first relay port> <last relay port> <realm> <user> <password>
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/pion/turn/v5"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 7 {
		return fmt.Errorf("usage: pion <address> <port> <first relay port> <last relay port> <realm> <user> <password>")
	}
	address, port, realm, user, password := args[0], args[1], args[4], args[5], args[6]
	first, err := strconv.ParseUint(args[2], 10, 16)
	if err != nil {
		return err
	}
	last, err := strconv.ParseUint(args[3], 10, 16)
	if err != nil {
		return err
	}
	listener, err := net.ListenPacket("udp4", net.JoinHostPort(address, port))
	if err != nil {
		return err
	}
	key := turn.GenerateAuthKey(user, realm, password)
	server, err := turn.NewServer(turn.ServerConfig{
		Realm: realm,
		AuthHandler: func(request *turn.RequestAttributes) (string, []byte, bool) {
			return user, key, request.Username == user
		},
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn: listener,
			RelayAddressGenerator: &turn.RelayAddressGeneratorPortRange{
				RelayAddress: net.ParseIP(address),
				Address:      address,
				MinPort:      uint16(first),
				MaxPort:      uint16(last),
			},
		}},
	})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
	return server.Close()
}
